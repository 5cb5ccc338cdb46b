"""Where the program begins: in its unpacked and compiled library if this very file has one, else in the zipapp."""

from __future__ import annotations

import sys
from pathlib import Path

import storage_node

LIBRARY = Path("/usr/local/lib/storage-node")


def main(arguments: list[str] | None = None) -> int:
    """Runs one command and returns the exit status."""
    _use_library(Path(sys.argv[0]))
    given = sys.argv[1:] if arguments is None else arguments
    # Only now is it known where the modules are to come from, and the add-on's calls need few of them.
    if given[:1] == ["catalogue"]:
        from storage_node import paths  # noqa: PLC0415
        from storage_node.catalogue import entry  # noqa: PLC0415

        return entry.run(given[1:], paths.of_this_node())
    from storage_node import commands  # noqa: PLC0415

    return commands.run(given)


def _use_library(program: Path) -> None:
    """Takes all further modules from files, where Python keeps them compiled; a zip is compiled at every call."""
    try:
        status = program.stat()
    except OSError:
        return
    # The name is install.library_name's, which would have to be compiled from the zip.
    library = LIBRARY / f"{status.st_size}-{status.st_mtime_ns}" / "storage_node"
    if library.is_dir():
        storage_node.__path__.insert(0, str(library))
