"""Writing small files so that a reader sees the old or the new content, and only the owner sees secrets."""

import os
import shutil
import tempfile
from pathlib import Path


def write(path: Path, content: bytes | str, mode: int = 0o600) -> None:
    """Replace the file at once, with this mode from its first moment on; it survives a power loss."""
    data = content.encode() if isinstance(content, str) else content
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as stream:
            os.fchmod(handle, mode)
            stream.write(data)
            stream.flush()
            os.fsync(handle)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def remove_tree(path: Path) -> None:
    """Remove the directory and everything in it; nothing happens when it is gone."""
    # Others may be removing the same files at the same time.
    for _ in range(3):
        try:
            shutil.rmtree(path)
        except FileNotFoundError:
            if not path.exists():
                return
