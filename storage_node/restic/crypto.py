"""restic's encryption, reading side: AES-256 in counter mode, authenticated by Poly1305-AES.

restic's design document, "Keys, Encryption and MAC": IV (16 bytes), ciphertext, MAC (16 bytes); the MAC is over the
ciphertext, with the one-time key r || AES-128_k(IV). The ciphers are OpenSSL's (libcrypto 3, which Python itself and
sshd need), through ctypes.
"""

from __future__ import annotations

import ctypes
import functools
import hmac
from dataclasses import dataclass, field

IV_LENGTH = 16
MAC_LENGTH = 16


class UnauthenticatedError(Exception):
    """The data was not sealed with this key: a wrong password, or damage."""


@dataclass(frozen=True)
class Key:
    """One set of keys: ``encrypt`` 32 bytes, ``mac_k`` and ``mac_r`` 16 bytes each."""

    encrypt: bytes = field(repr=False)
    mac_k: bytes = field(repr=False)
    mac_r: bytes = field(repr=False)

    def open(self, sealed: bytes) -> bytes:
        """Checks and decrypts; raises UnauthenticatedError when the key is the wrong one or the data is damaged."""
        if len(sealed) < IV_LENGTH + MAC_LENGTH:
            raise UnauthenticatedError
        iv, ciphertext, mac = sealed[:IV_LENGTH], sealed[IV_LENGTH:-MAC_LENGTH], sealed[-MAC_LENGTH:]
        one_time = self.mac_r + _cipher("EVP_aes_128_ecb", self.mac_k, None, iv)
        if not hmac.compare_digest(_poly1305(one_time, ciphertext), mac):
            raise UnauthenticatedError
        return _cipher("EVP_aes_256_ctr", self.encrypt, iv, ciphertext)


@functools.cache
def _library() -> ctypes.CDLL:
    """libcrypto with the few functions' signatures; raises OSError where it is missing."""
    library = ctypes.CDLL("libcrypto.so.3")
    pointer, text, number, size = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int, ctypes.c_size_t
    for name in ("EVP_CIPHER_CTX_new", "EVP_aes_256_ctr", "EVP_aes_128_ecb"):
        getattr(library, name).restype = pointer
        getattr(library, name).argtypes = []
    library.EVP_CIPHER_CTX_free.argtypes = [pointer]
    library.EVP_CIPHER_CTX_free.restype = None
    library.EVP_EncryptInit_ex.argtypes = [pointer, pointer, pointer, text, text]
    library.EVP_EncryptUpdate.argtypes = [pointer, text, ctypes.POINTER(number), text, number]
    library.EVP_Q_mac.argtypes = [
        *(pointer, text, text, text, pointer, text, size, text, size, text, size, ctypes.POINTER(size))
    ]
    library.EVP_Q_mac.restype = pointer
    return library


def _cipher(name: str, key: bytes, iv: bytes | None, data: bytes) -> bytes:
    """Applies a cipher without padding; counter mode decrypts by encrypting again."""
    library = _library()
    context = library.EVP_CIPHER_CTX_new()
    try:
        output = ctypes.create_string_buffer(len(data) + 32)
        length = ctypes.c_int()
        done = library.EVP_EncryptInit_ex(context, getattr(library, name)(), None, key, iv)
        done = done and library.EVP_EncryptUpdate(context, output, ctypes.byref(length), data, len(data))
        if not done or length.value != len(data):
            raise RuntimeError("libcrypto refused to decrypt")
        return output.raw[: length.value]
    finally:
        library.EVP_CIPHER_CTX_free(context)


def _poly1305(one_time_key: bytes, message: bytes) -> bytes:
    output = ctypes.create_string_buffer(MAC_LENGTH)
    length = ctypes.c_size_t()
    done = _library().EVP_Q_mac(
        *(None, b"POLY1305", None, None, None, one_time_key, len(one_time_key), message, len(message)),
        *(output, MAC_LENGTH, ctypes.byref(length)),
    )
    if not done or length.value != MAC_LENGTH:
        raise RuntimeError("libcrypto refused to compute a MAC")
    return output.raw
