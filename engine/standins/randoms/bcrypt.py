"""bcrypt by the system's crypt library, which Debian always has; the standard library has no other."""

from __future__ import annotations

import ctypes
import secrets

COST = 10
"""Go's `bcrypt.DefaultCost`, which the random provider uses."""
LONGEST = 72
"""Bytes that bcrypt takes in; the provider cuts a longer password there."""
_SALT_ALPHABET = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_CRYPT_DATA_BYTES = 32768
"""Size of `struct crypt_data` in libxcrypt (crypt(3))."""


def bcrypt_hash(password: str) -> str:
    """The password's bcrypt hash, with a salt of its own."""
    library = ctypes.CDLL("libcrypt.so.1")
    library.crypt_r.restype = ctypes.c_char_p
    library.crypt_r.argtypes = [ctypes.c_char_p, ctypes.c_char_p, ctypes.c_void_p]
    salt = "".join(secrets.choice(_SALT_ALPHABET) for _ in range(22))
    data = ctypes.create_string_buffer(_CRYPT_DATA_BYTES)
    hashed = library.crypt_r(password.encode()[:LONGEST], f"$2b${COST}${salt}".encode(), data)
    text: str = hashed.decode() if hashed else ""
    if not text.startswith("$2b$"):
        raise OSError("this system's libcrypt cannot make bcrypt hashes")
    return text.replace("$2b$", "$2a$", 1)  # the same algorithm under the name that Go gives it
