"""The backup add-on on an application machine: it knows its share of the ``addon`` output and nothing else."""

import json
import re
import shlex
from collections.abc import Mapping
from typing import Any

from demo.shell import Result, Shell

#: restic keeps trying for as long when another restic holds a lock.
_RETRY_LOCK = "5m"

#: restic, in bash, told to end once it has given a file up. Up to 0.18.1 a backup that this befalls near its end waits
#: for ever and keeps its lock fresh: `Archiver.Snapshot` flushes in a context that the failed upload does not cancel.
_ENDED_WHEN_IT_FAILS = """\
exec 3>&1
(echo "$BASHPID" >&2; exec restic {arguments}) 2>&1 >&3 3>&- | {{
    exec 3>&-
    read -r process
    while IFS= read -r line; do
        printf '%s\\n' "$line" >&2
        case $line in "Save("*") failed: "*) kill -s INT "$process" ;; esac
    done
}}
exit "${{PIPESTATUS[0]}}"
"""

#: What restic says of a file that it renamed, when the answer was lost with the server: NFS asks the next one again.
_ANSWER_LOST = re.compile(r"^Save\(.*\) failed: rename (\S+)-tmp-\d+ \1: no such file or directory$", re.MULTILINE)

#: A hard mount of a dead server hangs its callers for good; a mount attempt that is to fail must come back.
_MOUNT_SECONDS = 90


class Addon:
    """One environment's add-on on one machine.

    machine: where it runs. name: the environment. share: what ``make outputs ENV=<name>`` prints.
    """

    def __init__(self, machine: Shell, name: str, share: Mapping[str, Any]) -> None:
        self.machine, self.name, self.share = machine, name, share
        self.own = share["environments"][name]

    def mount(self) -> None:
        """Mounts the environment's own repository, and those that it may restore from."""
        self._mount(self.own)
        for granted in self.own["restoreFrom"].values():
            self._mount(granted)

    def unmount(self) -> None:
        """Takes the mounts away again."""
        for repository in (self.own, *self.own["restoreFrom"].values()):
            self.machine.run(f"umount {repository['repository']}")

    def backup(self, path: str, name: str, kind: str = "manual", commit: str = "0a1b2c3") -> dict[str, Any]:
        """Backs a directory up under ``name``; gives restic's summary."""
        tag = shlex.quote(f"{name} {commit} {kind}")
        lines = self._restic(f"backup --json --host {self.name} --tag {tag} {shlex.quote(path)}").splitlines()
        return next(message for line in lines if (message := json.loads(line))["message_type"] == "summary")

    def rotate(self, keep_last: int) -> None:
        """Keeps the newest backups and frees the space of the others. Each has a tag of its own: group by host."""
        self._restic(f"forget --group-by host --keep-last {keep_last} --prune")

    def check(self, *, read_data: bool = False) -> None:
        """Checks the repository, with ``read_data`` every byte of it."""
        self._restic("check" + (" --read-data" if read_data else ""))

    def snapshots(self) -> list[dict[str, Any]]:
        """The repository's snapshots as restic lists them."""
        return list(json.loads(self._restic("snapshots --json")))

    def restore(self, backup: str, target: str, source: str | None = None) -> None:
        """Restores the backup of that name, the environment's own or that of ``source``, into a directory."""
        repository = self.own if source is None else self.own["restoreFrom"][source]
        flags = "" if source is None else "--no-lock "
        found = json.loads(self._restic(f"{flags}snapshots --json", repository))
        snapshot = next(entry["id"] for entry in found if _name(entry) == backup)
        self._restic(f"{flags}restore {snapshot} --target {shlex.quote(target)}", repository)

    def listed(self, operator: Shell) -> list[str]:
        """The backups' names as the storage's catalogue gives them over SSH."""
        answer = json.loads(operator.run(f"/root/getBackups.sh {self.name}"))
        if answer["result"] != 0:
            raise AssertionError(f"The catalogue answered {answer}.")
        return list(answer["backups"])

    def restic(self, arguments: str, repository: Mapping[str, Any] | None = None, *, seconds: float = 1800) -> Result:
        """Runs restic on a repository whatever comes of it; the password travels on stdin."""
        chosen = self.own if repository is None else repository
        line = _ENDED_WHEN_IT_FAILS.format(
            arguments=f"--retry-lock {_RETRY_LOCK} --repo {chosen['repository']} {arguments}"
        )
        return self.machine.attempt(line, stdin=chosen["password"] + "\n", seconds=seconds)

    def _restic(self, arguments: str, repository: Mapping[str, Any] | None = None) -> str:
        result = self.restic(arguments, repository)
        if result.status != 0:
            raise AssertionError(
                f"{self.name}: restic {arguments} ended with {result.status}:\n{result.output}{result.error}"
            )
        return result.output

    def _mount(self, repository: Mapping[str, Any]) -> None:
        """Takes the first mount that works, in the order of preference."""
        failures = []
        for mount in repository["mounts"]:
            done = self.machine.attempt(
                f"mountpoint -q {mount['target']} || {{ mkdir -p {mount['target']} && "
                f"timeout -s KILL {_MOUNT_SECONDS} mount -t {mount['type']} -o {mount['options']} "
                f"{mount['source']} {mount['target']}; }}"
            )
            if done.status == 0:
                return
            failures.append(f"{mount['source']}: {done.error.strip() or f'status {done.status}'}")
        raise AssertionError(f"{self.name}: nothing could be mounted: {'; '.join(failures)}")


def answer_lost(ended: Result) -> bool:
    """Whether a backup failed because the server died between a rename and its answer: the next one will not."""
    return ended.status != 0 and _ANSWER_LOST.search(ended.error) is not None


def _name(snapshot: Mapping[str, Any]) -> str | None:
    """The backup's name: the first word of the snapshot's tag."""
    tags = snapshot.get("tags") or [""]
    return str(tags[0]).split(" ", 1)[0]
