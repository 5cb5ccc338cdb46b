"""Decompresses what repository format 2 compresses, by the libzstd that libcrypto's package depends on."""

from __future__ import annotations

import ctypes
import functools

_UNKNOWN = 2**64 - 1
_FIRST_GUESS = 256 * 1024


class DamagedError(Exception):
    """The data is not a zstd frame, or larger than it may be."""


def decompress(data: bytes, largest: int) -> bytes:
    """The content of one zstd frame, at most ``largest`` bytes; raises DamagedError."""
    library = _library()
    size = library.ZSTD_getFrameContentSize(data, len(data))
    capacities = [size] if size < _UNKNOWN - 1 else [_FIRST_GUESS, largest]
    for capacity in capacities:
        if capacity > largest:
            break
        output = ctypes.create_string_buffer(max(capacity, 1))
        written = library.ZSTD_decompress(output, len(output), data, len(data))
        if not library.ZSTD_isError(written):
            return output.raw[:written]
    raise DamagedError


@functools.cache
def _library() -> ctypes.CDLL:
    library = ctypes.CDLL("libzstd.so.1")
    library.ZSTD_getFrameContentSize.argtypes = [ctypes.c_char_p, ctypes.c_size_t]
    library.ZSTD_getFrameContentSize.restype = ctypes.c_ulonglong
    library.ZSTD_decompress.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_size_t]
    library.ZSTD_decompress.restype = ctypes.c_size_t
    library.ZSTD_isError.argtypes = [ctypes.c_size_t]
    library.ZSTD_isError.restype = ctypes.c_uint
    return library
