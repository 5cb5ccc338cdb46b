"""Packs the node program into the one file that is shipped to the nodes."""

import hashlib
import zipfile
from dataclasses import dataclass
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent.parent / "storage_node"

#: Same sources, same bytes, whenever and wherever they are packed: nodes are told apart by the file's hash.
_TIMESTAMP = (1980, 1, 1, 0, 0, 0)

_MAIN = b"from storage_node.cli import main\n\nraise SystemExit(main())\n"


@dataclass(frozen=True)
class NodeProgram:
    """The packed program: where it is, and the hash by which a node knows it."""

    path: Path
    sha256: str


def pack(directory: Path) -> NodeProgram:
    """Packs the program into ``directory`` (made where it is missing) and says what it is.

    The file is replaced as a whole, so a killed run leaves the old one or the new one.
    """
    directory.mkdir(parents=True, exist_ok=True)
    target = directory / "storage-node.pyz"
    draft = directory / "storage-node.pyz.new"
    with draft.open("wb") as file:
        file.write(b"#!/usr/bin/python3 -IS\n")
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(_entry("__main__.py"), _MAIN)
            for source in sorted(_PACKAGE.rglob("*.py")):
                archive.writestr(_entry(str(source.relative_to(_PACKAGE.parent))), source.read_bytes())
    draft.replace(target)
    return NodeProgram(path=target, sha256=hashlib.sha256(target.read_bytes()).hexdigest())


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, _TIMESTAMP)
    entry.compress_type = zipfile.ZIP_DEFLATED
    return entry
