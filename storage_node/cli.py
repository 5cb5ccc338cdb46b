"""Where the program begins: in its unpacked and compiled library if this very file has one, else in the zipapp."""

from __future__ import annotations

import sys

from storage_node import library


def main(arguments: list[str] | None = None) -> int:
    """Runs one command and returns the exit status."""
    given = sys.argv[1:] if arguments is None else arguments
    library.use(library.running_program(), unpack_now=given[:1] == ["configure"])
    # Only now is it known where the modules are to come from, and the add-on's calls need few of them.
    if given[:1] == ["catalogue"]:
        from storage_node import paths  # noqa: PLC0415
        from storage_node.catalogue import entry  # noqa: PLC0415

        return entry.run(given[1:], paths.of_this_node())
    from storage_node import commands  # noqa: PLC0415

    return commands.run(given)
