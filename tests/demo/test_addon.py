"""How the add-on runs restic: what it gives and takes, and that it ends what would wait for ever."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from demo.addon import Addon, answer_lost
from demo.shell import Result, Shell

pytestmark = pytest.mark.environments

PASSWORD = "of the repository"
FILE = "/opt/backup/shop/data/46/466123fe"
LOST = f"Save(<data/466123fe3f>) failed: rename {FILE}-tmp-2088588532 {FILE}: no such file or directory"
FULL = f"Save(<data/466123fe3f>) failed: write {FILE}-tmp-2088588532: no space left on device"


class Here(Shell):
    """This very computer, with ``restic`` being the script that is given."""

    def __init__(self, place: Path, script: str) -> None:
        self._place = place
        program = place / "restic"
        program.write_text(f"#!/bin/bash\n{script}\n")
        program.chmod(0o755)

    def attempt(self, command: str, *, stdin: str = "", seconds: float = 60) -> Result:
        environment = {**os.environ, "PATH": f"{self._place}:{os.environ['PATH']}"}
        # restic hears SIGINT even where that is ignored by whoever started it; the script could not (bash(1), trap).
        line = ["env", "--default-signal=INT", "bash", "-c", command]
        done = subprocess.run(
            line, input=stdin, env=environment, capture_output=True, text=True, timeout=seconds, check=False
        )
        return Result(done.returncode, done.stdout, done.stderr)


def run(place: Path, script: str) -> Result:
    own = {"repository": "/opt/backup/shop", "password": PASSWORD, "restoreFrom": {}}
    return Addon(Here(place, script), "shop", {"environments": {"shop": own}}).restic("check", seconds=60)


def test_restic_gets_the_password_and_all_that_it_says_arrives(tmp_path: Path) -> None:
    ended = run(tmp_path, 'echo "$*"; cat; echo one >&2; echo two >&2; exit 3')
    assert ended.status == 3
    assert ended.output == f"--retry-lock 5m --repo /opt/backup/shop check\n{PASSWORD}\n"
    assert ended.error == "one\ntwo\n"


def hangs(said: str) -> str:
    """As restic up to 0.18.1 does after a file that it could not save.

    In Python, as bash 5.2 loses one trapped SIGINT in about a thousand that come while it starts a command.
    """
    return f"""exec {sys.executable} - <<'END'
import signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
print("{said}", file=sys.stderr, flush=True)
signal.sigwait([signal.SIGINT])
print("ended", file=sys.stderr)
sys.exit(130)
END"""


@pytest.mark.parametrize(("said", "lost"), [(LOST, True), (FULL, False)])
def test_what_waits_for_ever_after_a_failed_file_is_ended(tmp_path: Path, said: str, lost: bool) -> None:
    ended = run(tmp_path, hangs(said))
    assert (ended.status, ended.error) == (130, f"{said}\nended\n")
    assert answer_lost(ended) is lost


def test_a_file_that_is_tried_again_ends_nothing(tmp_path: Path) -> None:
    ended = run(tmp_path, 'echo "Save(<data/466123fe3f>) returned error, retrying after 1s: broken" >&2; sleep 1')
    assert ended.status == 0
    assert not answer_lost(ended)


def test_a_backup_that_was_made_lost_no_answer() -> None:
    assert not answer_lost(Result(0, "", LOST))
