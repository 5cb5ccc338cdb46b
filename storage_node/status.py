"""The node's health in one object: what it has, and in sentences what is wrong.

Facts are asked for each time, from the kernel where it has them; programs are started only where they must be.
"""

from __future__ import annotations

import os
from typing import Any

from storage_node import exports, firewall, install, mount, node, packages, passwords, services, system, usage
from storage_node.cluster import ganesha, health, member
from storage_node.errors import NodeError
from storage_node.node import Node
from storage_node.paths import Paths

# Below this share of free space a prune, which needs room for what it repacks, may fail.
LOW_SPACE = 0.05


def collect(paths: Paths, *, walk: bool = False, sparing: bool = False) -> dict[str, Any]:
    """The status object; ``walk`` counts usage file by file where the file system keeps no account of it.

    sparing: of a cluster, one node looks at the whole of it (``health.collect``) and, unless ``walk``, at the
    environments.
    """
    settings = node.load(paths)
    problems: list[str] = []
    data = _data(paths, problems)
    found: dict[str, Any] = {"node": settings.name, "healthy": False, "problems": problems, "data": data}
    if settings.cluster is not None:
        found["cluster"] = health.collect(paths, settings.name, settings.cluster, problems, sparing=sparing)
    found["services"] = _services(paths, settings, problems)
    found["exports"] = _served(paths, problems) if settings.cluster else _exports(paths, problems)
    looks = data["mounted"] and (walk or not sparing or speaks(found))
    found["environments"] = _environments(paths, settings, problems, walk=walk) if looks else {}
    found["program"] = _program(paths, settings.program, problems)
    found["restic"] = _restic(paths, settings.topology, problems)
    found["packages"] = packages.installed(paths, settings.topology)
    found["rebootRequired"] = paths.at("/run/reboot-required").exists()
    found["healthy"] = not problems
    return found


def speaks(found: dict[str, Any]) -> bool:
    """Whether it falls to this node to look at what is the same from every member; ``found`` is its status object."""
    return "cluster" not in found or found["node"] == health.speaker(found["cluster"])


def _data(paths: Paths, problems: list[str]) -> dict[str, Any]:
    mounted = mount.mounted_at(paths.data)
    if mounted is None:
        problems.append(f"The data disk is not mounted at {paths.data_path}.")
        return {"mounted": False, "filesystem": None, "totalBytes": 0, "freeBytes": 0}
    try:
        space = os.statvfs(paths.data)
    except OSError as error:
        problems.append(f"{paths.data_path} cannot be read: {error.strerror}.")
        return {"mounted": True, "filesystem": mounted.kind, "totalBytes": 0, "freeBytes": 0}
    total, free = space.f_blocks * space.f_frsize, space.f_bavail * space.f_frsize
    if free < total * LOW_SPACE:
        problems.append(f"Only {free // 10**6} MB of {total // 10**6} MB are free in {paths.data_path}; raise sizeGb.")
    if space.f_flag & os.ST_RDONLY:
        problems.append(f"{paths.data_path} is mounted read-only; the disk may be failing, see `dmesg` on the node.")
    return {"mounted": True, "filesystem": mounted.kind, "totalBytes": total, "freeBytes": free}


def _services(paths: Paths, settings: Node, problems: list[str]) -> dict[str, str]:
    states: dict[str, str] = {}
    if services.has_systemd(paths):
        units = services.running(paths, settings.topology)
        units += [] if settings.cluster is None else member.units(settings.cluster)
        # One line a unit, in the order asked for; the status tells only whether all are active.
        words = system.run(["systemctl", "is-active", *units]).stdout.split()
        states.update(zip(units, words, strict=False))
        problems.extend(f"{unit} is {state}." for unit, state in states.items() if state != "active")
    wanted = firewall.ruleset(settings.ssh, exports.clients(node.access(paths)), settings.name, settings.cluster)
    wrong = firewall.drift(paths, wanted)
    states["firewall"] = "changed" if wrong else "active"
    if wrong:
        problems.append(wrong)
    ours = services.files(paths, settings.topology)
    if settings.cluster is not None:
        ours |= member.files(paths, settings.name, settings.cluster)
    for path, content in ours.items():
        if not path.exists() or path.read_text(errors="replace") != content:
            problems.append(f"{path} is not what this stack asks for.")
    return states


def _served(paths: Paths, problems: list[str]) -> int:
    shared = node.access(paths)
    wrong = ganesha.drift(paths, ganesha.render(shared))
    if wrong:
        problems.append(wrong)
    return len(ganesha.in_force())


def _exports(paths: Paths, problems: list[str]) -> int:
    wanted, there = exports.expected(node.access(paths)), exports.in_force(paths)
    for path, client in sorted(set(wanted) | set(there)):
        if (path, client) not in there:
            problems.append(f"{path} is not exported to {client}.")
        elif (path, client) not in wanted:
            problems.append(f"{path} is exported to {client}, who may not reach it.")
        elif wanted[path, client] != there[path, client]:
            problems.append(f"{path} is exported to {client} with the wrong right to write.")
    return len({path for path, _ in there})


def _environments(paths: Paths, settings: Node, problems: list[str], *, walk: bool) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for name in passwords.active(paths):
        path = paths.repository(name)
        try:
            (path / "config").stat()
            used = usage.of_environment(paths, name, settings.cluster)
            if used is None and walk:
                used = usage.by_walking(path)
        except FileNotFoundError:
            problems.append(f"{name}: its repository {path} is missing.")
        except OSError as error:
            # A volume that this node is cut off from: the rest of the status is wanted all the more.
            problems.append(f"{name}: its repository {path} cannot be read: {error.strerror}.")
        else:
            found[name] = {"usageBytes": used}
    return found


def _program(paths: Paths, expected: str, problems: list[str]) -> str | None:
    try:
        found = install.digest(paths.program)
    except NodeError as error:
        problems.append(str(error))
        return None
    if found != expected:
        problems.append(f"{paths.program} is not the version that this stack uses.")
    return found


def _restic(paths: Paths, topology: str, problems: list[str]) -> str | None:
    wrong = packages.drift(paths, topology)
    problems.extend(wrong.values())
    try:
        return packages.restic_version(paths)
    except NodeError as error:
        if "restic" not in wrong:
            problems.append(str(error))
        return None
