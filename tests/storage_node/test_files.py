"""Files of a repository are read even while the NFS server has lent them to a client."""

import subprocess
import sys
from pathlib import Path

import pytest

from storage_node.restic import files

pytestmark = pytest.mark.catalogue

#: Holds a file as the NFS server does for a client that writes it, and gives it back half a second after it is asked.
HOLDER = """
import fcntl, os, signal, sys, time
F_SETLEASE = 1024
held = os.open(sys.argv[1], os.O_RDWR)

def give_back(*_):
    time.sleep(0.5)
    fcntl.fcntl(held, F_SETLEASE, fcntl.F_UNLCK)
    sys.exit(0)

signal.signal(signal.SIGIO, give_back)
fcntl.fcntl(held, F_SETLEASE, fcntl.F_WRLCK)
print("held", flush=True)
time.sleep(60)
"""


def test_a_file_that_is_lent_to_a_client_is_called_back_and_read(tmp_path: Path) -> None:
    (tmp_path / "snapshot").write_bytes(b"content")
    with subprocess.Popen([sys.executable, "-c", HOLDER, tmp_path / "snapshot"], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with files.directory(tmp_path) as inside:
            assert files.read("snapshot", inside) == b"content"
        assert holder.wait() == 0
