"""The `environments` step: repositories, exports and firewall as the stack says, the withdrawn ones put away.

One environment that fails stops no other: all are gone through, and the step then fails with every reason.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from storage_node import exports, firewall, lock, mount, node, passwords, repositories, status, users, waiting
from storage_node.catalogue import cache
from storage_node.cluster import ganesha, member
from storage_node.errors import AwayError, NodeError, from_os
from storage_node.exports import Export
from storage_node.node import Node
from storage_node.paths import PURGED_PREFIX, UNFINISHED_PREFIX, Paths
from storage_node.repositories import Outcome
from storage_node.restic import files
from storage_node.restic.command import Repository
from storage_node.spec import Environment, Environments


def apply(paths: Paths, spec: Environments) -> dict[str, Any]:
    """Brings the node to the specification and says what was done; raises NodeError when any part failed."""
    settings = node.load(paths)
    work = partial(_apply, paths, spec, settings)
    return waiting.steadily(work) if settings.cluster else work()


def _apply(paths: Paths, spec: Environments, settings: Node) -> dict[str, Any]:
    if settings.cluster is not None:
        member.serve(paths, settings.cluster)
    mount.require(paths.data, paths.data_path)
    problems: list[NodeError] = []
    # The members of a cluster work on the same repositories: one after the other, and the later find nothing to do.
    with _alone(paths, settings):
        _remove_leftovers(paths)
        gone = _withdraw(paths, spec.environments, problems)
        uids = _assign_users(paths, spec.environments)
        outcomes = _settle(paths, spec.environments, uids, problems, _workers(settings))
    shared = [
        Export(
            path=f"{paths.data_path}/{name}",
            uid=uids[name],
            writers=entry.clients,
            readers=tuple(network for reader in entry.readers.values() for network in reader.clients),
        )
        for name, entry in spec.environments.items()
        if name in outcomes or _was_served(paths, name, uids[name])
    ]
    node.store_access(paths, shared)
    # Who is let in by the firewall is let in last, who is put out is put out of the exports first.
    try:
        (ganesha if settings.cluster else exports).apply(paths, shared)
        ruleset = firewall.ruleset(settings.ssh, exports.clients(shared), settings.name, settings.cluster)
        firewall.apply(paths, ruleset)
    except NodeError as error:
        problems.append(error)
    if problems:
        away = any(isinstance(problem, AwayError) for problem in problems)
        raise (AwayError if away else NodeError)(_sentence(problems, len(spec.environments)))
    if settings.cluster is not None:
        member.await_served(paths, settings.cluster)
    return {
        "environments": {
            name: {"repository": done.repository, "created": done.created, "rotated": done.rotated}
            for name, done in sorted(outcomes.items())
        },
        "withdrawn": gone,
        "health": status.collect(paths),
    }


def _alone(paths: Paths, settings: Node) -> contextlib.AbstractContextManager[None]:
    if settings.cluster is None:
        return contextlib.nullcontext()
    first = settings.cluster.members[0].name
    return lock.among_members(paths, None if first == settings.name else first)


def _remove_leftovers(paths: Paths) -> None:
    """Clears away what an interrupted run left under hidden names."""
    for entry in paths.data.iterdir():
        if entry.name.startswith((UNFINISHED_PREFIX, PURGED_PREFIX)):
            repositories.remove_tree(entry)


def _withdraw(paths: Paths, wanted: Mapping[str, Environment], problems: list[NodeError]) -> list[str]:
    """Puts away the environments that the stack no longer names: data and a way to open it stay."""
    gone = [name for name in passwords.active(paths) if name not in wanted]
    for name in gone:
        path = paths.repository(name)
        try:
            if path.is_dir():
                repositories.take_back(paths, Repository(path, path.stat().st_uid))
            cache.forget(paths, name)
            passwords.withdraw(paths, name)
        except files.UntrustworthyError as error:
            problems.append(NodeError(f"{name}: it could not be withdrawn: {error}."))
        except OSError as error:
            problems.append(from_os(f"{name}: it could not be withdrawn", error))
    return gone


def _assign_users(paths: Paths, wanted: Mapping[str, Environment]) -> dict[str, int]:
    """A user for each environment: the owner of its directory, or a new one where that is missing or shared."""
    owners = users.owners(paths.data)
    uids: dict[str, int] = {}
    for name in sorted(wanted):
        uid = owners.get(name)
        others = [o for other, o in owners.items() if other != name and (other < name or other not in wanted)]
        if uid is not None and uid not in others:
            uids[name] = uid
    missing = [name for name in sorted(wanted) if name not in uids]
    if missing:
        uids.update(zip(missing, users.allocate(paths, len(missing)), strict=True))
    return uids


def _workers(settings: Node) -> int:
    """Deriving a key from a password is all CPU; on a volume as much time goes by waiting for the other members."""
    processors = os.cpu_count() or 1
    return processors * 2 if settings.cluster else processors


def _settle(
    paths: Paths,
    wanted: Mapping[str, Environment],
    uids: Mapping[str, int],
    problems: list[NodeError],
    workers: int,
) -> dict[str, Outcome]:
    """Settles every repository, ``workers`` of them side by side."""

    def one(name: str) -> Outcome | NodeError:
        try:
            return repositories.ensure(paths, name, wanted[name], uids[name])
        except NodeError as error:
            return error if str(error).startswith(f"{name}:") else NodeError(f"{name}: {error}")
        except OSError as error:
            return from_os(name, error)

    with ThreadPoolExecutor(max_workers=workers) as pool:
        results = dict(zip(sorted(wanted), pool.map(one, sorted(wanted)), strict=True))
    problems.extend(result for result in results.values() if isinstance(result, NodeError))
    return {name: result for name, result in results.items() if isinstance(result, Outcome)}


def _was_served(paths: Paths, name: str, uid: int) -> bool:
    """Whether a failed environment still has what its clients used until now: they keep it."""
    path = paths.repository(name)
    return (paths.passwords / name).exists() and (path / "config").exists() and path.stat().st_uid == uid


def _sentence(problems: list[NodeError], total: int) -> str:
    if len(problems) == 1:
        return str(problems[0])
    words = " | ".join(str(problem) for problem in problems)
    return f"{len(problems)} problems with {total} environments, the others are done: {words}"
