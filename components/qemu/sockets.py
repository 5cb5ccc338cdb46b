"""Unix sockets in directories of any depth."""

import os
import socket
from pathlib import Path


def connect(directory: Path, name: str, kind: socket.SocketKind, seconds: float) -> socket.socket:
    """A socket connected to the one of this name in the directory. Raises OSError when nobody holds that one.

    A socket's path has at most 107 bytes; through the open directory it is short wherever the project lies.
    """
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    connection = socket.socket(socket.AF_UNIX, kind)
    connection.settimeout(seconds)
    try:
        connection.connect(f"/proc/self/fd/{handle}/{name}")
    except OSError:
        connection.close()
        raise
    finally:
        os.close(handle)
    return connection
