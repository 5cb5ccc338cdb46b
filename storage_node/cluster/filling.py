"""A lost member's fresh brick, filled by a copy of another's before GlusterFS takes it up.

GlusterFS would fill it, too, by its self-heal daemon; but that takes locks and writes marks on all bricks for each
directory and file, and a restic repository has 256 directories before the first byte of data. A copy is limited by
disks and network alone, and until it is done one more loss may be one too many.

What makes it right: since the member was lost its brick was out of reach of every client, so whatever changes is noted
on the others: as in doubt before, and as lacking on the lost one after (afr-transaction.c). What has no mark is as it
was, and the copy has it. What is marked GlusterFS heals afterwards, whatever the copy has of it, as it does after any
absence: newer, half written, or no more there. The mark is by the brick's place in the volume, which the fresh one
takes (glusterd-replace-brick.c, brick_id).

So nothing is copied from a brick that another has something for; nor while a change of which bricks there are is under
way, when some clients may not know of the lost one. Nor is a copy used that was made while somebody died in the middle
of changing a name: of what stays in doubt the copies are merged, and a name that was removed just then would come back
with it. The brick has its name once the copy is whole, and on the disk; before, an attempt begins anew. Whenever
something is not as it should be, the brick starts empty and is healed.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from storage_node import system
from storage_node.cluster import brick, wire
from storage_node.cluster.membership import Cluster, Member
from storage_node.errors import NodeError
from storage_node.paths import Paths
from storage_node.waiting import until

# Once one member says that this brick was lost, the others are asked again for so long: one may be starting anew.
ACCOUNT_SECONDS, ACCOUNT_POLL_SECONDS = 300.0, 1.0
_TELL_SECONDS = 10.0
_SYNC_SECONDS = 3600.0

_UNPACK = (
    *("tar", "--extract", "--numeric-owner", "--same-owner", "--same-permissions", "--delay-directory-restore"),
    *("--acls", "--xattrs", "--xattrs-include=*"),
)
# GlusterFS's own directory in a brick: a link to each file, and a symbolic one to each directory, by their ids
# (posix-handle.c). It makes the root's itself.
_OWN_MODE, _HASH_MODE = 0o600, 0o700
_ROOT_ID = str(uuid.UUID(int=1))


@dataclass(frozen=True)
class Account:
    """What another member knows of the volume (donor.account)."""

    member: Member
    bricks: frozenset[str]
    changing: bool
    accused: frozenset[str]
    doubts: bool
    bytes: int


def fill(paths: Paths, name: str, cluster: Cluster, place: Path) -> bool:
    """Fills the directory with what this node's brick in the volume had; returns whether it did.

    It does nothing where the volume has no brick of this node's yet, and leaves nothing where it fails; why, it says on
    stderr. ``place`` is made, and must not be there.
    """
    if cluster.layout != "replicated":
        # Each brick has another part of what is in a file.
        return False
    try:
        return _fill(paths, cluster.member(name).address, cluster.others(name), place)
    except (NodeError, OSError) as error:
        shutil.rmtree(place, ignore_errors=True)
        print(f"The brick is not filled by a copy, and left to be healed: {error}", file=sys.stderr, flush=True)
        return False


def _fill(paths: Paths, own: str, others: list[Member], place: Path) -> bool:
    accounts = _accounts(paths, own, others)
    if not accounts:
        return False
    donor = _donors(accounts)[0]
    place.mkdir(mode=0o755)
    _copy(paths, donor, place)
    _link(place)
    system.must(["sync", "--file-system", str(place)], "Writing the brick to the disk", timeout=_SYNC_SECONDS)
    if donor.member not in [account.member for account in _donors(_accounts(paths, own, others))]:
        raise NodeError(f"Meanwhile {donor.member.name} has come to lack something that another brick has.")
    return True


def _accounts(paths: Paths, own: str, others: list[Member]) -> list[Account]:
    """The accounts of all others; none where none says that this node's brick is in the volume."""
    found: dict[str, Account] = {}
    reasons: dict[str, str] = {}

    def attempt(member: Member) -> None:
        try:
            found[member.name] = _account(paths, member)
        except (NodeError, OSError) as error:
            reasons[member.name] = f"{member.name} gives no account ({error})"

    def lost() -> bool:
        return any(own in account.bricks for account in found.values())

    def missing() -> str | None:
        with ThreadPoolExecutor() as pool:
            list(pool.map(attempt, [member for member in others if member.name not in found]))
        left = [member.name for member in others if member.name not in found]
        return ", ".join(reasons[name] for name in left) if left and lost() else None

    until(missing, ACCOUNT_SECONDS, ACCOUNT_POLL_SECONDS)
    return [found[member.name] for member in others] if lost() else []


def _account(paths: Paths, member: Member) -> Account:
    with wire.to(paths, member) as asked:
        asked.say({"want": "account"})
        said = asked.hear()
    bricks, accused = frozenset(said["bricks"]), frozenset(said["accused"])
    return Account(member, bricks, said["changing"], accused, said["doubts"], said["bytes"])


def _donors(accounts: list[Account]) -> list[Account]:
    """Whose bricks may be copied: those that have all that the others have. Raises NodeError when there is none."""
    if doubting := [account.member.name for account in accounts if account.doubts]:
        raise NodeError(f"On {', '.join(doubting)} it is in doubt whether a name was changed.")
    if changing := [account.member.name for account in accounts if account.changing]:
        raise NodeError(f"A change of the volume's bricks is under way, as {', '.join(changing)} knows.")
    accused = frozenset[str]().union(*(account.accused for account in accounts))
    whole = [account for account in accounts if account.member.address not in accused]
    if not whole:
        raise NodeError("Each of the other bricks lacks something that another has.")
    return whole


def _copy(paths: Paths, donor: Account, place: Path) -> None:
    began = told = time.monotonic()
    done = 0
    with wire.to(paths, donor.member) as giving:
        giving.say({"want": "brick"})
        with system.streamed(_UNPACK, directory=str(place), read=False) as unpacking:
            for piece in giving.pieces():
                # It ends at the archive's end, before what fills up the last record; or by a failure, with its status.
                with contextlib.suppress(BrokenPipeError):
                    unpacking.write(piece)
                done += len(piece)
                if time.monotonic() - told > _TELL_SECONDS:
                    told = time.monotonic()
                    _tell(f"{done / 1e6:.0f} of about {donor.bytes / 1e6:.0f} MB", donor.member)
            whole = giving.hear()["whole"]
    if not whole:
        raise NodeError(f"{donor.member.name} could not read all of its brick; see its journal.")
    if unpacking.status:
        raise NodeError(f"What {donor.member.name} gave could not be unpacked (tar, status {unpacking.status}).")
    _tell(f"{done / 1e6:.0f} MB in {time.monotonic() - began:.0f} s", donor.member)


def _tell(how_much: str, donor: Member) -> None:
    print(f"The brick is filled by a copy of {donor.name}'s: {how_much}", file=sys.stderr, flush=True)


def _link(root: Path) -> None:
    """Makes GlusterFS's own directory in a copied brick.

    Raises NodeError for what was moved or made while it was copied, so that it has its id twice or not at all.
    """
    found = [(entry, _ROOT_ID) for entry in root.iterdir()]
    (root / brick.GLUSTERFS).mkdir(mode=_OWN_MODE)
    while found:
        entry, parent = found.pop()
        identity = _id(entry)
        handle = _handle(root, identity)
        try:
            if entry.is_dir() and not entry.is_symlink():
                handle.symlink_to(f"../../{brick.below(parent)}/{entry.name}")
                found += [(place, identity) for place in entry.iterdir()]
            else:
                os.link(entry, handle, follow_symlinks=False)
        except FileExistsError:
            # A file may have several names.
            if not os.path.samestat(handle.lstat(), entry.lstat()):
                raise NodeError(f"{entry} was moved while it was copied.") from None


def _id(path: Path) -> str:
    try:
        return brick.identity(path)
    except OSError as error:
        raise NodeError(f"{path} was copied without its id: {error.strerror}.") from None


def _handle(root: Path, identity: str) -> Path:
    handle = brick.handle(root, identity)
    for directory in (handle.parent.parent, handle.parent):
        if not directory.exists():
            directory.mkdir(mode=_HASH_MODE)
    return handle
