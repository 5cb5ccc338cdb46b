"""How fast this computer's processor counter (TSC) runs, which is what an emulated machine reads as its own.

The kernel of a machine measures it by an emulated timer while it boots. On a busy computer that may be interrupted and
go wrong unnoticed: one of some hundred boots took 2596 MHz for 281, and had a clock that ran nine times too fast.
"""

import ctypes
import mmap
import platform
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

# rdtsc; shl rdx, 32; or rax, rdx; ret
_READ = bytes.fromhex("0f31 48c1e220 4809d0 c3")
# How far apart the counter is looked at. A look is right to a microsecond or so, which is what the rate is wrong by.
_SECONDS = 0.1
# Of so many looks the one counts that was interrupted least.
_LOOKS = 50


def khz() -> int | None:
    """The counter's rate in kHz, to a few millionths; None where there is none or it cannot be read."""
    if platform.machine() != "x86_64":
        return None
    try:
        with _reader() as read:
            time_before, before = _look(read)
            time.sleep(_SECONDS)
            time_after, after = _look(read)
    except OSError:
        # A kernel may refuse memory that is both written and run.
        return None
    return round((after - before) * 1_000_000 / (time_after - time_before))


def _look(read: Callable[[], int]) -> tuple[int, int]:
    """A time, in ns, and what the counter was then."""
    looks = [(time.monotonic_ns(), read(), time.monotonic_ns()) for _ in range(_LOOKS)]
    began, count, ended = min(looks, key=lambda look: look[2] - look[0])
    return (began + ended) // 2, count


@contextmanager
def _reader() -> Iterator[Callable[[], int]]:
    with mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC) as memory:
        memory.write(_READ)
        first = ctypes.c_char.from_buffer(memory)
        try:
            yield ctypes.CFUNCTYPE(ctypes.c_uint64)(ctypes.addressof(first))
        finally:
            # Memory that is still referred to cannot be closed.
            del first
