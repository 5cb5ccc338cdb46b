"""restic's key operations without restic's price: the same files, a key derivation that costs nothing.

For tests that go through hundreds of interruptions; what restic itself does is tested with restic itself.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from pathlib import Path

from storage_node.restic import command, crypto, keys
from storage_node.restic.command import Repository
from storage_node.restic.crypto import Key

_N, _R, _P = 16, 1, 1


def seal(key: Key, plain: bytes) -> bytes:
    """Encrypts and signs as restic does."""
    iv = os.urandom(16)
    ciphertext = crypto._cipher("EVP_aes_256_ctr", key.encrypt, iv, plain)
    one_time = key.mac_r + crypto._cipher("EVP_aes_128_ecb", key.mac_k, None, iv)
    return iv + ciphertext + crypto._poly1305(one_time, ciphertext)


def init(repository: Repository, password: str) -> None:
    for name in ("data", "index", "keys", "locks", "snapshots"):
        (repository.path / name).mkdir(mode=0o700)
    master = Key(os.urandom(32), os.urandom(16), os.urandom(16))
    _write_key(repository, master, password, "node", "")
    config = {"version": 2, "id": os.urandom(32).hex(), "chunker_polynomial": "25b468838dcb75"}
    (repository.path / "config").write_bytes(seal(master, json.dumps(config).encode()))


def add_key(repository: Repository, password: str, new_password: str, host: str, user: str) -> None:
    opened = keys.find(keys.in_repository(repository), password)
    if opened is None:
        raise command.WrongPasswordError("wrong password")
    _write_key(repository, opened[1], new_password, host, user)


def _write_key(repository: Repository, master: Key, password: str, host: str, user: str) -> None:
    salt = os.urandom(64)
    derived = hashlib.scrypt(password.encode(), salt=salt, n=_N, r=_R, p=_P, dklen=64)
    parts = {"encrypt": master.encrypt, "k": master.mac_k, "r": master.mac_r}
    encoded = {name: base64.b64encode(part).decode() for name, part in parts.items()}
    plain = json.dumps({"mac": {"k": encoded["k"], "r": encoded["r"]}, "encrypt": encoded["encrypt"]}).encode()
    sealed = seal(Key(derived[:32], derived[32:48], derived[48:]), plain)
    content = json.dumps(
        {
            "created": "2026-01-31T02:00:00Z",
            "username": user,
            "hostname": host,
            "kdf": "scrypt",
            "N": _N,
            "r": _R,
            "p": _P,
            "salt": base64.b64encode(salt).decode(),
            "data": base64.b64encode(sealed).decode(),
        }
    ).encode()
    file = repository.path / "keys" / hashlib.sha256(content).hexdigest()
    draft = Path(f"{file}-tmp-1")
    draft.write_bytes(content)
    os.chown(draft, repository.uid, repository.uid)
    draft.replace(file)
