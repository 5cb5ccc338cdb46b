"""Makes a WordPress-like site out of nothing: thousands of files and a database dump. Runs on any Python 3.11.

``python3 site.py ROOT --seed N [--files N]`` makes it, ``--change`` alters some files of one that is there: some are
rewritten, some go, some are new. The same arguments always give the same bytes. It prints the tree's digest, which
covers names, modes, times and contents.
"""

import argparse
import hashlib
import os
import random
from pathlib import Path

#: 2026-01-01 00:00:00 UTC, the time of the first file; each next one is a minute later.
_EPOCH = 1767225600


def make(root: Path, seed: int, files: int) -> None:
    """Fills ``root``; ``files`` is about the number of files."""
    source = random.Random(seed)
    uploads = [(_upload_name(number), source.randrange(2_000, 20_000)) for number in range(files * 2 // 3)]
    code = [(_code_name(number), source.randrange(200, 8_000)) for number in range(files // 3)]
    for minute, (name, size) in enumerate([*uploads, *code]):
        content = source.randbytes(size) if name.endswith(".jpg") else _text(source, size)
        _write(root / name, content, minute)
    _write(root / "database.sql", _dump(source, rows=files * 5), files)


def change(root: Path, seed: int) -> None:
    """Alters about a tenth of the site as a day of work on it would."""
    source = random.Random(seed)
    present = sorted(path for path in root.rglob("*.jpg") if path.is_file())
    for path in source.sample(present, len(present) // 20):
        path.unlink()
    present = sorted(path for path in root.rglob("*.php") if path.is_file())
    for minute, path in enumerate(source.sample(present, len(present) // 20)):
        _write(path, _text(source, 3_000), 10_000 + minute)
    for number in range(len(present) // 20):
        _write(root / f"wp-content/uploads/2026/12/new-{number}.jpg", source.randbytes(9_000), 20_000 + number)
    _write(root / "database.sql", _dump(source, rows=10_500), 30_000)


def digest(root: Path) -> str:
    """One hash over every name, mode, time and content below ``root``."""
    whole = hashlib.sha256()
    for path in sorted(root.rglob("*")):
        status = path.lstat()
        whole.update(f"{path.relative_to(root)}\0{status.st_mode:o}\0".encode())
        if path.is_file():
            whole.update(f"{status.st_mtime_ns}\0".encode())
            whole.update(hashlib.sha256(path.read_bytes()).digest())
    return whole.hexdigest()


def _upload_name(number: int) -> str:
    return f"wp-content/uploads/{2020 + number % 7}/{1 + number % 12:02}/picture {number} ä.jpg"


def _code_name(number: int) -> str:
    return f"wp-content/plugins/plugin-{number % 20}/includes/class-{number}.php"


def _text(source: random.Random, size: int) -> bytes:
    words = ("function", "return", "$wpdb", "array", "add_action", "echo", "foreach", "null", "esc_html", "post")
    return (" ".join(source.choices(words, k=size // 6)) + "\n").encode()


def _dump(source: random.Random, rows: int) -> bytes:
    lines = (
        f"INSERT INTO wp_posts VALUES ({row},'{source.getrandbits(128):032x}','{_text(source, 120).decode().strip()}');"
        for row in range(rows)
    )
    return ("-- MySQL dump\n" + "\n".join(lines) + "\n").encode()


def _write(path: Path, content: bytes, minute: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    path.chmod(0o644)
    os.utime(path, (_EPOCH + minute * 60, _EPOCH + minute * 60))


def main() -> None:
    """Makes or changes a site, then prints its digest."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--change", action="store_true")
    parser.add_argument("--digest", action="store_true", help="only print the digest")
    options = parser.parse_args()
    if options.change:
        change(options.root, options.seed)
    elif not options.digest:
        make(options.root, options.seed, options.files)
    print(digest(options.root))


if __name__ == "__main__":
    main()
