"""The one way to run programs on the node.

Secrets never reach a command line or an environment: ``secrets`` are handed over as sealed files in memory,
and an argument "{name}" becomes the path (/dev/fd/N) under which the program reads that secret.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import FileIO

from storage_node import lock
from storage_node.errors import NodeError

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
DEFAULT_TIMEOUT_SECONDS = 300.0
# The most that a pipe may be made to hold by default (pipe(7), pipe-max-size).
_PIPE_BYTES = 1 << 20


@dataclass(frozen=True)
class Result:
    """What a program did: its exit status and its output as text."""

    status: int
    stdout: str
    stderr: str

    @property
    def last_words(self) -> str:
        """The last line that the program wrote, stderr before stdout: mostly the reason of a failure."""
        lines = [line.strip() for line in (self.stderr or self.stdout).splitlines() if line.strip()]
        return lines[-1] if lines else f"exit status {self.status}, no output"


def run(
    arguments: Sequence[str],
    *,
    secrets: Mapping[str, str] | None = None,
    user: int | None = None,
    timeout: float = DEFAULT_TIMEOUT_SECONDS,
    environment: Mapping[str, str] | None = None,
    directory: str = "/",
    keeps_lock: bool = False,
) -> Result:
    """Runs a program to its end and returns what it did; a non-zero status is not an error here.

    ``user`` is the uid (and gid) that it runs as, with no other groups. ``keeps_lock`` lets it hold the node's lock
    beyond our own death. Raises NodeError when the program is missing or does not end in time.
    """
    with _in_memory(secrets or {}, user) as files:
        argv = [files[a[1:-1]].path if a[:1] == "{" and a[1:-1] in files else a for a in arguments]
        descriptors = [f.descriptor for f in files.values()]
        if keeps_lock:
            descriptors.extend(lock.held_descriptors())
        try:
            done = subprocess.run(
                argv,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=timeout,
                env={**_environment(), **(environment or {})},
                cwd=directory,
                pass_fds=descriptors,
                user=user,
                group=user,
                extra_groups=None if user is None else [],
                umask=-1 if user is None else 0o077,
                check=False,
            )
        except FileNotFoundError:
            raise NodeError(f"The program {arguments[0]} is not installed on this node.") from None
        except subprocess.TimeoutExpired:
            raise NodeError(f"`{' '.join(arguments[:3])}` did not end within {timeout:.0f} s.") from None
    return Result(done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))


@dataclass
class Stream:
    """A program that writes a stream of bytes, or reads one; ``status`` is how it ended, once it has."""

    pipe: FileIO
    status: int | None = None

    def read(self, most: int) -> bytes:
        """What is there of the stream, once something is; nothing at its end."""
        return self.pipe.read(most) or b""

    def write(self, piece: bytes) -> None:
        """Writes all of a piece. Raises BrokenPipeError when the program reads no more."""
        left = memoryview(piece)
        while left:
            left = left[self.pipe.write(left) :]


@contextlib.contextmanager
def streamed(arguments: Sequence[str], *, directory: str, read: bool) -> Iterator[Stream]:
    """Runs a program whose output is ``read``, or that reads what is written to it; what it complains of is passed on.

    When the block ends, so does the stream, and the program is waited for; when it fails, the program is ended. Raises
    NodeError when the program is missing.
    """
    ours, theirs = os.pipe() if read else os.pipe()[::-1]
    with FileIO(ours, "r" if read else "w") as pipe:
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        try:
            program = subprocess.Popen(
                arguments,
                stdin=subprocess.DEVNULL if read else theirs,
                stdout=theirs if read else subprocess.DEVNULL,
                env=_environment(),
                cwd=directory,
            )
        except FileNotFoundError:
            raise NodeError(f"The program {arguments[0]} is not installed on this node.") from None
        finally:
            os.close(theirs)
        stream = Stream(pipe)
        try:
            yield stream
            pipe.close()
        except BaseException:
            program.kill()
            raise
        finally:
            stream.status = program.wait()


def _environment() -> dict[str, str]:
    return {"PATH": PATH, "LC_ALL": "C.UTF-8", "HOME": "/nonexistent"}


def must(arguments: Sequence[str], what: str, *, timeout: float = DEFAULT_TIMEOUT_SECONDS) -> str:
    """Runs a program that has to succeed and returns its stdout; ``what`` begins the error sentence."""
    result = run(arguments, timeout=timeout)
    if result.status:
        raise NodeError(f"{what} failed: {result.last_words.rstrip('.')} (`{arguments[0]}`, status {result.status}).")
    return result.stdout


@dataclass(frozen=True)
class _Secret:
    descriptor: int
    path: str


@contextlib.contextmanager
def _in_memory(secrets: Mapping[str, str], user: int | None) -> Iterator[dict[str, _Secret]]:
    files: dict[str, _Secret] = {}
    try:
        for name, value in secrets.items():
            descriptor = os.memfd_create("secret", os.MFD_CLOEXEC)
            files[name] = _Secret(descriptor, f"/dev/fd/{descriptor}")
            os.fchmod(descriptor, 0o400)
            if user is not None:
                os.fchown(descriptor, user, user)
            os.write(descriptor, value.encode())
        yield files
    finally:
        for file in files.values():
            os.close(file.descriptor)
