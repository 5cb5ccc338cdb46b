"""The program unpacked: modules in files are compiled once, those in a zip at every call.

The directory is named by the zipapp's size and checksum, so that a replaced program never meets the modules of another.
"""

from __future__ import annotations

import os
import sys
import zlib
from pathlib import Path

import storage_node

PLACE = Path("/usr/local/lib/storage-node")


def use(program: Path, place: Path = PLACE, *, unpack_now: bool = False) -> None:
    """Takes all further modules from the library of the running zipapp, if it has one or is to get one now."""
    try:
        library = place / name(program)
        if not library.is_dir() and unpack_now:
            unpack(program, place)
    except (OSError, ValueError):
        return  # not a zipapp, or no place for a library: the modules come from where this one came from
    if library.is_dir():
        storage_node.__path__.insert(0, str(library / "storage_node"))


def name(program: Path) -> str:
    """The directory's name for a program's file."""
    content = program.read_bytes()
    return f"{len(content)}-{zlib.crc32(content):08x}"


def unpack(program: Path, place: Path) -> None:
    """Unpacks a zipapp's modules and removes other versions' libraries."""
    import shutil  # noqa: PLC0415 - only needed once a version
    import zipfile  # noqa: PLC0415

    target = place / name(program)
    temporary = place / f".new-{os.getpid()}"
    if not target.is_dir():
        try:
            with zipfile.ZipFile(program) as archive:
                archive.extractall(temporary, [n for n in archive.namelist() if n.startswith("storage_node/")])
        except zipfile.BadZipFile as error:
            raise ValueError(str(error)) from None
        temporary.rename(target)
    for other in place.iterdir():
        if other != target:
            shutil.rmtree(other, ignore_errors=True)


def running_program() -> Path:
    """The zipapp that this process was started from."""
    return Path(sys.argv[0]).resolve()
