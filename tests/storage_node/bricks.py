"""A brick as GlusterFS makes it, for tests without one: entries with ids, and what it notes and lists."""

from __future__ import annotations

import hashlib
import os
import random
from pathlib import Path

from storage_node.cluster import brick

_ROOT_ID = bytes(15) + b"\1"


def make(root: Path) -> None:
    """A brick as GlusterFS makes it, with an environment's repository, a file of two names and a symbolic link.

    It is the same each time, as the copies of a volume are.
    """
    source = random.Random(0)  # noqa: S311 - content, no secret
    (root / ".glusterfs/indices/xattrop").mkdir(parents=True)
    (root / ".glusterfs").chmod(0o600)
    (root / ".trashcan").mkdir()
    above = brick.handle(root, brick.text_of(_ROOT_ID))
    for place in (above.parent.parent, above.parent):
        place.mkdir(mode=0o700, exist_ok=True)
    above.symlink_to("../../..")
    os.setxattr(root, "trusted.gfid", _ROOT_ID)
    os.setxattr(root, "trusted.glusterfs.volume-id", b"v" * 16)
    for directory in ("shop", "shop/data", "shop/data/00", "shop/data/.glusterfs", "blog"):
        (root / directory).mkdir()
        _identify(root, root / directory, source)
    for name, size in {"shop/config": 155, "shop/data/00/pack": 3_000_000, "blog/empty": 0}.items():
        (root / name).write_bytes(source.randbytes(size))
        _identify(root, root / name, source)
        os.setxattr(root / name, "trusted.gfid2path.0123", b"\0\xff/" + name.encode())
    os.link(root / "shop/config", root / "blog/config")
    (root / "blog/link").symlink_to("../shop/nowhere")
    _identify(root, root / "blog/link", source)
    os.chown(root / "shop", 20001, 20001)
    (root / "shop").chmod(0o2700)
    os.chown(root / "blog/link", 20002, 20002, follow_symlinks=False)
    os.utime(root / "shop/data/00", (1_700_000_000, 1_700_000_001))


def _identify(root: Path, entry: Path, source: random.Random) -> None:
    identity = source.randbytes(16)
    os.setxattr(entry, "trusted.gfid", identity, follow_symlinks=False)
    handle = brick.handle(root, brick.text_of(identity))
    for directory in (handle.parent.parent, handle.parent):
        directory.mkdir(mode=0o700, exist_ok=True)
    if entry.is_dir() and not entry.is_symlink():
        above = brick.identity(entry.parent)
        handle.symlink_to(f"../../{brick.below(above)}/{entry.name}")
    else:
        os.link(entry, handle, follow_symlinks=False)


def accuse(root: Path, entry: str, client: str, parts: bytes) -> None:
    """Notes beside an entry what another brick lacks of it, and lists it."""
    os.setxattr(root / entry, f"trusted.afr.{client}", parts, follow_symlinks=False)
    identity = brick.identity(root / entry)
    (root / ".glusterfs/indices/xattrop" / identity).touch()


def doubt(root: Path, entry: str) -> None:
    """Lists an entry as one that is being changed."""
    (root / ".glusterfs/indices/dirty").mkdir(exist_ok=True)
    (root / ".glusterfs/indices/dirty/dirty-6f2a").touch()
    identity = brick.identity(root / entry)
    (root / ".glusterfs/indices/dirty" / identity).touch()


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def picture(root: Path) -> dict[str, object]:
    """All that is to be the same on two bricks, by the entry's name."""
    found: dict[str, object] = {}
    for entry in [root, *root.rglob("*")]:
        name = str(entry.relative_to(root))
        # The brick makes these itself when it starts.
        if name.startswith((".glusterfs/indices", ".glusterfs/00", ".trashcan")):
            continue
        own = name.startswith(".glusterfs/") and entry.is_dir() and not entry.is_symlink()
        status = entry.lstat()
        attributes = {
            key: os.getxattr(entry, key, follow_symlinks=False)
            for key in os.listxattr(entry, follow_symlinks=False)
            if not key.startswith(("trusted.afr.", "trusted.glusterfs.volume-id"))
        }
        content = entry.readlink() if entry.is_symlink() else _digest(entry) if entry.is_file() else None
        # Directories of GlusterFS's own are changed by what is made in them, as the root is.
        changed = None if own or name in {".", ".glusterfs"} or entry.is_symlink() else status.st_mtime_ns
        links = None if entry.is_dir() and not entry.is_symlink() else status.st_nlink
        found[name] = (status.st_mode, status.st_uid, status.st_gid, changed, links, attributes, content)
    return found
