"""A client of the volume as an NFS server is one: it writes a file synchronously, and dies half a second later.

Runs on a node, with the path of the file on the volume. The calls are GlusterFS's own (libgfapi, glfs.h of 11.1).
"""

import ctypes
import os
import signal
import sys
import time

BYTES = 100_000

library = ctypes.CDLL("libgfapi.so.0", use_errno=True)
library.glfs_new.restype = library.glfs_creat.restype = ctypes.c_void_p
library.glfs_pwrite.restype = ctypes.c_ssize_t
library.glfs_pwrite.argtypes = [
    ctypes.c_void_p,
    ctypes.c_char_p,
    ctypes.c_size_t,
    ctypes.c_int64,
    ctypes.c_int,
    ctypes.c_void_p,
    ctypes.c_void_p,
]

volume = ctypes.c_void_p(library.glfs_new(b"data"))
library.glfs_set_volfile_server(volume, b"tcp", b"localhost", 24007)
if library.glfs_init(volume):
    sys.exit(f"The volume does not open: {os.strerror(ctypes.get_errno())}.")
file = ctypes.c_void_p(library.glfs_creat(volume, sys.argv[1].encode(), os.O_WRONLY, 0o600))
written = library.glfs_pwrite(file, b"x" * BYTES, BYTES, 0, os.O_SYNC, None, None)
os.write(1, f"{written}\n".encode())
# Long enough for what follows an acknowledgement at once, and half of what the default puts off.
time.sleep(0.5)
os.kill(os.getpid(), signal.SIGKILL)
