"""The environments' restic repositories: made once, their passwords rotated, their readers' keys given and taken.

Every operation may be cut off between any two steps: a working password is always among those that the node or the
operator's side knows, and the next run finishes what was begun. A repository that is as it should be costs no
process and no key derivation.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from storage_node import atomic, passwords, users
from storage_node.catalogue import cache
from storage_node.errors import NodeError
from storage_node.paths import UNFINISHED_PREFIX, Paths
from storage_node.restic import command, files, keys
from storage_node.restic.command import Repository
from storage_node.restic.crypto import Key
from storage_node.restic.keys import KeyFile
from storage_node.spec import Environment


@dataclass(frozen=True)
class Outcome:
    """What was done to one environment's repository."""

    repository: str
    created: bool
    rotated: bool


def ensure(paths: Paths, name: str, wanted: Environment, uid: int) -> Outcome:
    """Makes one environment's repository as it should be; ``uid`` is the user that is to own it.

    Raises NodeError when that cannot be done without risk to what is there.
    """
    repository = Repository(paths.repository(name), uid)
    created = rotated = False
    try:
        if not _is_there(repository.path, name):
            if passwords.read(paths.passwords / name) is not None:
                raise NodeError(
                    f"{name}: its repository {repository.path} has vanished, though this node made it. Bring it back, "
                    f"or give it up with `storage-node purge {name} --confirm {name}` and run `pulumi up` again."
                )
            _create(paths, repository, wanted.password)
            created = True
        elif not _is_settled(paths, repository, wanted.password):
            rotated = _settle_password(paths, repository, wanted.password)
        _settle_readers(paths, repository, wanted)
    except files.UntrustworthyError as damage:
        raise NodeError(f"{name}: the repository {repository.path} is damaged: {damage}.") from None
    atomic.remove(paths.withdrawn / name)
    return Outcome(f"{paths.data_path}/{name}", created, rotated)


def _is_there(path: Path, name: str) -> bool:
    """Whether there is a repository; an empty directory is as good as none, any other content is an error."""
    if not path.exists() and not path.is_symlink():
        return False
    if path.is_symlink() or not path.is_dir():
        raise NodeError(f"{name}: {path} is not a directory; move it away, then run `pulumi up` again.")
    if (path / "config").exists() and (path / "keys").is_dir():
        return True
    if any(path.iterdir()):
        raise NodeError(
            f"{name}: {path} holds something that is no restic repository; it was left untouched. Move it away or "
            "choose another name for the environment, then run `pulumi up` again."
        )
    return False


def _create(paths: Paths, repository: Repository, password: str) -> None:
    """Makes a repository in memory, brings it to the disk under a hidden name, and renames it when it is whole.

    restic makes 256 empty directories that it would make itself when it needs them: on a volume of many nodes they
    take longer than all the rest. The password is stored last: cut off before, the next run finds that the
    specification's password opens it.
    """
    draft = Repository(paths.drafts / repository.name, repository.uid)
    paths.drafts.mkdir(mode=0o711, parents=True, exist_ok=True)
    remove_tree(draft.path)
    try:
        draft.path.mkdir(mode=0o700)
        os.chown(draft.path, repository.uid, repository.uid)
        command.init(draft, password)
        made = keys.in_repository(draft)
        if len(made) != 1:
            raise NodeError(
                f"{repository.name}: restic left {len(made)} keys in the new repository; run `pulumi up` again."
            )
        keys.label(draft, made[0], keys.ENVIRONMENT)
        unfinished = paths.data / f"{UNFINISHED_PREFIX}{repository.name}"
        remove_tree(unfinished)
        _bring(draft.path, unfinished, repository.uid)
    finally:
        remove_tree(draft.path)
    unfinished.rename(repository.path)
    atomic.sync_directory(paths.data)
    passwords.write(paths.passwords / repository.name, password)


def _bring(draft: Path, target: Path, uid: int) -> None:
    """Copies a new repository durably, its files and the directories that restic looks for.

    Nobody sees it before it is renamed, so no file of it needs a name for the meantime, and its names are on the disk
    when that one is: XFS keeps their order. On a volume of many nodes each act less is a round over all of them.
    """
    for directory in (target, *(target / name for name in ("data", "index", "keys", "locks", "snapshots"))):
        directory.mkdir(mode=0o700)
        os.chown(directory, uid, uid)
    for source in sorted(path for path in draft.rglob("*") if path.is_file()):
        descriptor = os.open(target / source.relative_to(draft), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400)
        with os.fdopen(descriptor, "wb") as copy:
            copy.write(source.read_bytes())
            copy.flush()
            os.fchown(descriptor, uid, uid)
            os.fsync(descriptor)


def _is_settled(paths: Paths, repository: Repository, password: str) -> bool:
    """Whether the stored password is the wanted one and no key of an older one is left."""
    if passwords.read(paths.passwords / repository.name) != password or _owner(repository.path) != repository.uid:
        return False
    return len(keys.of_user(keys.in_repository(repository), keys.ENVIRONMENT)) == 1


def _settle_password(paths: Paths, repository: Repository, wanted: str) -> bool:
    """Makes the wanted password the environment's only one; returns whether a key was added or retired.

    New key, proof that it opens, password file, and only then the old key: cut off anywhere, one of the two works.
    """
    name = repository.name
    before = keys.in_repository(repository)
    candidates = [key for key in before if not key.username.startswith(keys.READER_PREFIX) or not key.ours]
    known = [
        password
        for password in (passwords.read(paths.passwords / name), passwords.read(paths.withdrawn / name))
        if password is not None
    ]
    opened = None
    # With one key of ours and another password on file, the wanted one cannot be in yet: spare the derivation.
    if len(keys.of_user(before, keys.ENVIRONMENT)) != 1 or wanted in known or not known:
        opened = keys.find(candidates, wanted)
    if opened is None:
        opened = _add(repository, candidates, [p for p in known if p != wanted], wanted)
    current = opened[0]
    if not (current.ours and current.username == keys.ENVIRONMENT):
        current = keys.label(repository, current, keys.ENVIRONMENT)
    if _owner(repository.path) != repository.uid:
        users.give(repository.path, repository.uid)
    passwords.write(paths.passwords / name, wanted)
    cache.learn(paths, name, current.id, opened[1])
    keys.remove(repository, _others(repository, keys.ENVIRONMENT, current))
    return {key.id for key in keys.in_repository(repository)} != {key.id for key in before}


def _add(repository: Repository, candidates: list[KeyFile], known: list[str], wanted: str) -> tuple[KeyFile, Key]:
    """Adds a key for the wanted password with the help of a known one, and proves it."""
    unlabelled = [key for key in candidates if not key.ours]
    for password in known:
        old = keys.find(unlabelled, password)
        if old is not None:
            # Labelled, it will be known as ours to retire, whatever happens from here on.
            keys.label(repository, old[0], keys.ENVIRONMENT)
        if _owner(repository.path) != repository.uid:
            users.give(repository.path, repository.uid)
        with contextlib.suppress(command.WrongPasswordError):
            return add_key(repository, password, wanted, keys.ENVIRONMENT)
    opened = keys.find(candidates, wanted)
    if opened is not None:
        return opened
    raise NodeError(
        f"{repository.name}: {repository.path} holds a repository that neither the stack's password nor one known to "
        "this node opens; it was left untouched. Bring back the password that belongs to it (the state of the stack "
        "that made it), or move the repository away, then run `pulumi up` again."
    )


def add_key(repository: Repository, password: str, new_password: str, user: str) -> tuple[KeyFile, Key]:
    """Adds a labelled key and proves that its password opens it, independently of restic."""
    before = {key.id for key in keys.in_repository(repository)}
    command.add_key(repository, password, new_password, keys.HOST, user)
    added = [key for key in keys.in_repository(repository) if key.id not in before]
    opened = keys.find(added, new_password)
    if opened is None:
        raise NodeError(f"{repository.name}: the key that restic added for {user} does not open; nothing was retired.")
    return opened


def _settle_readers(paths: Paths, repository: Repository, wanted: Environment) -> None:
    """Gives each reader a key of its own, replaces changed ones and takes back those no longer granted."""
    directory = paths.readers / repository.name
    present = keys.in_repository(repository)
    for reader, entry in wanted.readers.items():
        user = f"{keys.READER_PREFIX}{reader}"
        labelled = keys.of_user(present, user)
        if passwords.read(directory / reader) == entry.password and len(labelled) == 1:
            continue
        opened = keys.find(labelled, entry.password) or add_key(repository, wanted.password, entry.password, user)
        passwords.write(directory / reader, entry.password)
        keys.remove(repository, _others(repository, user, opened[0]))
    take_back(paths, repository, keep=wanted.readers)


def take_back(paths: Paths, repository: Repository, keep: Iterable[str] = ()) -> bool:
    """Removes the keys and password files of all readers but those to keep; returns whether there were any."""
    kept = set(keep)
    users_kept = {f"{keys.READER_PREFIX}{reader}" for reader in kept}
    unwanted = [
        key
        for key in keys.in_repository(repository)
        if key.ours and key.username.startswith(keys.READER_PREFIX) and key.username not in users_kept
    ]
    removed = keys.remove(repository, unwanted)
    for reader in passwords.readers(paths, repository.name):
        if reader not in kept:
            removed |= atomic.remove(paths.readers / repository.name / reader)
    return removed


def _others(repository: Repository, user: str, current: KeyFile) -> list[KeyFile]:
    return [key for key in keys.of_user(keys.in_repository(repository), user) if key.id != current.id]


def _owner(path: Path) -> int:
    return path.stat().st_uid


def remove_tree(path: Path) -> None:
    """Removes a directory of ours and everything in it; links in it are removed, not followed."""
    if path.is_symlink() or path.exists():
        shutil.rmtree(path)
