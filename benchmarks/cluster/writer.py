"""Appends small records to a file, each on the storage before the next, until told to stop; runs on any Python 3.11.

``python3 writer.py FILE NOTE STOP``: after each record it writes into NOTE how many there are and the longest time in
seconds that one took; it ends when STOP exists.
"""

import os
import sys
import time
from pathlib import Path

_RECORD = b"." * 511 + b"\n"


def main() -> None:
    """Writes, and keeps account of its pauses."""
    place, note, stop = map(Path, sys.argv[1:])
    records, longest, last = 0, 0.0, time.monotonic()
    with place.open("ab", buffering=0) as file:
        while not stop.exists():
            file.write(_RECORD)
            os.fsync(file.fileno())
            now = time.monotonic()
            records, longest, last = records + 1, max(longest, now - last), now
            note.write_text(f"{records} {longest}\n")


if __name__ == "__main__":
    main()
