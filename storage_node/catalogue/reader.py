"""Reads a repository's snapshots from its files: no restic, no lock, and no key derivation but the first."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable

from storage_node.catalogue import cache, snapshot
from storage_node.catalogue.cache import Remembered
from storage_node.catalogue.listing import Listing
from storage_node.catalogue.snapshot import Snapshot
from storage_node.restic import files, unpacked
from storage_node.restic.crypto import Key
from storage_node.restic.files import UntrustworthyError

# Finds the master key by the password and says which key file it opened.
Derive = Callable[[], tuple[str, Key]]


def update(top: int, found: Listing, known: Remembered, derive: Derive) -> list[str]:
    """Brings what is remembered to what lies in an open repository; returns what is damaged, in words.

    A snapshot that vanished before it was read was forgotten by its owner and is left out. Raises UntrustworthyError
    when the repository as a whole cannot be read.
    """
    master = _prove(top, found, known, derive)
    kept = {s.id: s for s in remembered(known) if known.stamps.get(s.id) == found.snapshots.get(s.id, 0)}
    damaged: list[str] = []
    with files.directory("snapshots", top) as directory:
        for name in found.snapshots.keys() - kept.keys():
            try:
                kept[name] = _snapshot(master, name, files.read(name, directory))
            except FileNotFoundError:
                continue
            except UntrustworthyError as error:
                damaged.append(str(error))
    ordered = snapshot.oldest_first(kept.values())
    known.stamps = {s.id: found.snapshots[s.id] for s in ordered}
    known.names = snapshot.names(ordered)
    known.details = json.dumps([s.to_json() for s in ordered], separators=(",", ":")).encode()
    return sorted(damaged)


def remembered(known: Remembered) -> list[Snapshot]:
    """The snapshots that are remembered, oldest first."""
    return [snapshot.from_json(fields) for fields in json.loads(known.details)]


def _prove(top: int, found: Listing, known: Remembered, derive: Derive) -> Key:
    """The repository's master key: the remembered one if it opens the config and its key file is still there."""
    try:
        sealed = files.read("config", top)
    except FileNotFoundError:
        raise UntrustworthyError("its config is missing") from None
    if known.master and known.key in found.keys:
        master = Key(*map(base64.b64decode, known.master))
        try:
            unpacked.decode(master, sealed, "its config")
        except UntrustworthyError:
            pass  # the key of another repository that lay here before, or a damaged config: the password tells
        else:
            known.config = found.config
            return master
    known.key, master = derive()
    unpacked.decode(master, sealed, "its config")
    known.config, known.master = found.config, cache.encoded(master)
    return master


def _snapshot(master: Key, name: str, sealed: bytes) -> Snapshot:
    short = f"snapshot {name[:8]}"
    if hashlib.sha256(sealed).hexdigest() != name:
        raise UntrustworthyError(f"{short} is damaged")
    try:
        return snapshot.from_restic(name, unpacked.decode(master, sealed, short))
    except ValueError:
        raise UntrustworthyError(f"{short} is damaged") from None
