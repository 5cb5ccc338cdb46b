"""Opens files by NFS handles that no server gave out, to prove that a storage refuses them. Runs as root on a client.

The NFS client hands out the server's handle inside its own (``nfs_encode_fh`` in the kernel's fs/nfs/export.c) and
asks the server about any handle that it is given back, so a forged one reaches the server as an attacker's would.

``handles.py describe PATH`` prints what a handle names a file by (on the server: what an attacker would guess): inode
and generation, or the volume's own id of it. ``handles.py forge MOUNT OWN TARGET [--export N]`` tries to use the file
that was described as TARGET through the client's mount, whose ``keys`` was described as OWN, and prints
``{"outcome": "opened" | "refused", "detail": …}``.
"""

import argparse
import ctypes
import fcntl
import json
import os
import struct
from pathlib import Path
from typing import Any

_FS_IOC_GETVERSION = 0x80087601
_EMBEDDED = 12  # bytes of the client's own before the server's handle: file id (8) and file type (4)

#: How a handle names a file, by its type: FILEID_INO32_GEN, and XFS's own for file systems with large inode numbers.
_LAYOUTS = {0x01: "<II", 0x81: "<QI"}

_libc = ctypes.CDLL(None, use_errno=True)


def describe(path: str) -> dict[str, Any]:
    """What a handle names a file by: inode number and generation on a disk, the id of a file on a volume."""
    for brick in Path("/brick").glob("brick-*"):
        return {"id": os.getxattr(f"{brick}/{path.removeprefix('/data/')}", "trusted.gfid").hex()}
    handle = os.open(path, os.O_RDONLY)
    try:
        buffer = bytearray(8)
        fcntl.ioctl(handle, _FS_IOC_GETVERSION, buffer)
        return {"inode": os.fstat(handle).st_ino, "generation": struct.unpack_from("<I", buffer)[0]}
    finally:
        os.close(handle)


def forge(mount: str, own: dict[str, Any], target: dict[str, Any], export: int | None) -> dict[str, str]:
    """Tries to list or read what the forged handle names."""
    # A file below the mount, not the mount itself: the handle of an export's root names no inode.
    given = _client_handle(f"{mount}/keys")
    size = struct.unpack_from("<H", given, _EMBEDDED)[0]
    server = given[_EMBEDDED + 2 : _EMBEDDED + 2 + size]
    detail = ""
    for forged in _on_volume(server, own, target, export) if "id" in own else _on_disk(server, target, export):
        body = struct.pack("<H", len(forged)) + forged
        words = -(-len(body) // 4)
        number = target.get("inode", int(target.get("id", "0")[-16:] or "0", 16))
        for file_type in (0o040000, 0o100000):
            wrapped = struct.pack("<III", number >> 32, number & 0xFFFFFFFF, file_type) + body
            detail = _use(mount, wrapped.ljust(12 + words * 4, b"\0"))
            if detail.startswith("opened"):
                return {"outcome": "opened", "detail": detail}
    return {"outcome": "refused", "detail": detail}


def _on_disk(server: bytes, target: dict[str, Any], export: int | None) -> list[bytes]:
    """The kernel server's: version, auth type, kinds of file system id and file id; then the ids themselves."""
    number = server[4:8] if export is None else struct.pack("<I", export)
    return [server[:4] + number + struct.pack(_LAYOUTS[server[3]], target["inode"], target["generation"])]


def _on_volume(server: bytes, own: dict[str, Any], target: dict[str, Any], export: int | None) -> list[bytes]:
    """Ganesha's (``file_handle_v4``): version, flags, the export's number, a length; then the volume's id."""
    mine = bytes.fromhex(own["id"])
    if mine not in server:
        raise ValueError(f"the handle {server.hex()} does not hold the id {own['id']}")
    forged = server.replace(mine, bytes.fromhex(target["id"]))
    if export is None:
        return [forged]
    # Either order of bytes: which one a server uses is its own affair.
    return [forged[:2] + struct.pack(order + "H", export) + forged[4:] for order in "<>"]


def _client_handle(path: str) -> bytes:
    """The handle that the client gives for a mounted file."""
    buffer = ctypes.create_string_buffer(8 + 128)
    struct.pack_into("<Ii", buffer, 0, 128, 0)
    mount_id = ctypes.c_int()
    if _libc.name_to_handle_at(-100, path.encode(), buffer, ctypes.byref(mount_id), 0) != 0:
        raise OSError(ctypes.get_errno(), f"no handle for {path}")
    length = struct.unpack_from("<I", buffer, 0)[0]
    return buffer.raw[8 : 8 + length]


def _use(mount: str, handle: bytes) -> str:
    """Opens by handle, then lists or reads: only what gives content counts as opened."""
    anchor = os.open(mount, os.O_RDONLY | os.O_DIRECTORY)
    try:
        buffer = ctypes.create_string_buffer(struct.pack("<Ii", len(handle), len(handle) // 4) + handle)
        opened = _libc.open_by_handle_at(anchor, buffer, os.O_RDONLY)
        if opened < 0:
            return f"open: {os.strerror(ctypes.get_errno())}"
        try:
            names = os.listdir(opened)
        except NotADirectoryError:
            return f"opened, read {len(os.read(opened, 64))} bytes"
        except OSError as error:
            return f"list: {error.strerror}"
        else:
            return f"opened, listed {names}"
        finally:
            os.close(opened)
    finally:
        os.close(anchor)


def main() -> None:
    """Runs one of the two commands and prints its JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    part = commands.add_parser("describe")
    part.add_argument("path")
    part = commands.add_parser("forge")
    part.add_argument("mount")
    part.add_argument("own", type=json.loads)
    part.add_argument("target", type=json.loads)
    part.add_argument("--export", type=int)
    options = parser.parse_args()
    if options.command == "describe":
        print(json.dumps(describe(options.path)))
    else:
        print(json.dumps(forge(options.mount, options.own, options.target, options.export)))


if __name__ == "__main__":
    main()
