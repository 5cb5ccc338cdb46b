"""Opens files by NFS handles that no server gave out, to prove that a storage refuses them. Runs as root on a client.

The NFS client hands out the server's handle inside its own (``nfs_encode_fh`` in the kernel's fs/nfs/export.c) and
asks the server about any handle that it is given back, so a forged one reaches the server as an attacker's would.

``handles.py describe PATH`` prints inode and generation of a file (on the server: what an attacker would guess).
``handles.py forge MOUNT --inode N --generation G [--fsid F]`` tries to use that file through the client's mount and
prints ``{"outcome": "opened" | "refused", "detail": …}``.
"""

import argparse
import ctypes
import fcntl
import json
import os
import struct

_FS_IOC_GETVERSION = 0x80087601
_EMBEDDED = 12  # bytes of the client's own before the server's handle: file id (8) and file type (4)

#: How a handle names a file, by its type: FILEID_INO32_GEN, and XFS's own for file systems with large inode numbers.
_LAYOUTS = {0x01: "<II", 0x81: "<QI"}

_libc = ctypes.CDLL(None, use_errno=True)


def describe(path: str) -> dict[str, int]:
    """Inode number and generation of a file, as a handle names it."""
    handle = os.open(path, os.O_RDONLY)
    try:
        buffer = bytearray(8)
        fcntl.ioctl(handle, _FS_IOC_GETVERSION, buffer)
        return {"inode": os.fstat(handle).st_ino, "generation": struct.unpack_from("<I", buffer)[0]}
    finally:
        os.close(handle)


def forge(mount: str, inode: int, generation: int, fsid: int | None) -> dict[str, str]:
    """Tries to list or read what the forged handle names."""
    # A file below the mount, not the mount itself: the handle of an export's root names no inode.
    own = _client_handle(f"{mount}/keys")
    size = struct.unpack_from("<H", own, _EMBEDDED)[0]
    server = own[_EMBEDDED + 2 : _EMBEDDED + 2 + size]
    # version, auth type, kind of file system id, kind of file id; then the ids themselves.
    number = server[4:8] if fsid is None else struct.pack("<I", fsid)
    forged = server[:4] + number + struct.pack(_LAYOUTS[server[3]], inode, generation)
    body = struct.pack("<H", len(forged)) + forged
    words = -(-len(body) // 4)
    for file_type in (0o040000, 0o100000):
        wrapped = struct.pack("<III", inode >> 32, inode & 0xFFFFFFFF, file_type) + body
        detail = _use(mount, wrapped.ljust(12 + words * 4, b"\0"))
        if detail.startswith("opened"):
            return {"outcome": "opened", "detail": detail}
    return {"outcome": "refused", "detail": detail}


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
    part.add_argument("--inode", type=int, required=True)
    part.add_argument("--generation", type=int, required=True)
    part.add_argument("--fsid", type=int)
    options = parser.parse_args()
    if options.command == "describe":
        print(json.dumps(describe(options.path)))
    else:
        print(json.dumps(forge(options.mount, options.inode, options.generation, options.fsid)))


if __name__ == "__main__":
    main()
