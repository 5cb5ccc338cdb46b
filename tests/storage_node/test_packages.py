"""The packages of a node: another version than the release's is drift, and is put right where a mirror is reached."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from plan.packages import NODE_PACKAGES
from storage_node import packages, system
from storage_node.errors import NodeError
from storage_node.paths import Paths

#: As a node of Debian 13 has them.
VERSIONS = {
    "xfsprogs": "6.13.0-2+deb13u1",
    "nfs-kernel-server": "1:2.8.3-1",
    "nftables": "1.1.3-1",
    "restic": "0.18.0-1+b4",
    "unattended-upgrades": "2.12",
}


def record(paths: Paths, **changed: str | None) -> None:
    """Writes dpkg's record: these versions, with some changed, or (None) removed down to their settings."""
    entries = ["Package: adduser\nStatus: install ok installed\nVersion: 3.152\nDescription: restic\n and more\n"]
    for name, version in {**VERSIONS, **{key.replace("_", "-"): value for key, value in changed.items()}}.items():
        state = "install ok installed" if version else "deinstall ok config-files"
        entries.append(f"Package: {name}\nStatus: {state}\nSection: x\nVersion: {version or VERSIONS[name]}\n")
    paths.packages.parent.mkdir(parents=True, exist_ok=True)
    paths.packages.write_text("\n".join(entries))


@pytest.fixture
def running(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What the program restic says of itself, and every other program is there."""
    told = {"restic": "0.18.0"}
    monkeypatch.setattr(packages, "which", lambda program: Path("/usr/bin", program))
    monkeypatch.setattr(packages, "restic_version", lambda _: told["restic"])
    return told


@pytest.fixture
def apt(monkeypatch: pytest.MonkeyPatch) -> dict[str, Callable[[], system.Result]]:
    """What apt-get does, by the tests' choice; the commands that were asked for under their words."""
    asked: dict[str, Callable[[], system.Result]] = {}
    done = system.Result(0, "", "")

    def run(arguments: list[str], **_: object) -> system.Result:
        words = " ".join(arguments)
        action = asked.pop("then", None) if arguments[1] == "install" else None
        asked[words] = lambda: done
        return action() if action else done

    monkeypatch.setattr(system, "run", run)
    return asked


def test_a_node_as_the_release_has_it_is_right_and_asks_nobody(
    paths: Paths, running: dict[str, str], apt: dict[str, Callable[[], system.Result]]
) -> None:
    record(paths)
    assert packages.installed(paths, "standalone") == VERSIONS
    assert packages.drift(paths, "standalone") == {}
    packages.settle(paths, "standalone")
    assert apt == {}


def test_a_security_update_is_no_drift(paths: Paths, running: dict[str, str]) -> None:
    record(paths, restic="0.18.0-1+deb13u2", nfs_kernel_server="1:2.8.3-1+deb13u1", unattended_upgrades="2.13")
    assert packages.drift(paths, "standalone") == {}


@pytest.mark.parametrize(
    ("changed", "program", "words"),
    [
        ({"restic": "0.19.1-1"}, "0.19.1", "The package restic has version 0.19.1-1; this stack uses 0.18.*."),
        ({"nftables": "1.0.6-2"}, "0.18.0", "The package nftables has version 1.0.6-2; this stack uses 1.1.*."),
        ({"xfsprogs": None}, "0.18.0", "The package xfsprogs is not installed."),
        ({}, "0.19.1", "The program restic is 0.19.1, its package 0.18.0-1+b4: it was replaced."),
    ],
)
def test_another_version_is_named(
    paths: Paths, running: dict[str, str], changed: dict[str, str | None], program: str, words: str
) -> None:
    record(paths, **changed)
    running["restic"] = program
    assert list(packages.drift(paths, "standalone").values()) == [words]


def test_a_restic_that_does_not_run_is_named(
    paths: Paths, running: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: Paths) -> str:
        raise NodeError("restic does not start.")

    record(paths)
    monkeypatch.setattr(packages, "restic_version", broken)
    assert packages.drift(paths, "standalone") == {"restic": "restic does not start."}


def test_what_is_wrong_is_installed_anew_in_the_releases_version(
    paths: Paths, running: dict[str, str], apt: dict[str, Callable[[], system.Result]]
) -> None:
    def install() -> system.Result:
        record(paths)
        return system.Result(0, "", "")

    record(paths, restic="0.19.1-1", xfsprogs=None)
    apt["then"] = install
    packages.settle(paths, "standalone")
    update, asked = apt
    assert update == "apt-get update -q"
    assert "--allow-downgrades" in asked
    assert asked.endswith("restic=0.18.* xfsprogs=6.13.*")


def test_what_cannot_be_installed_ends_the_step_with_the_reason(
    paths: Paths, running: dict[str, str], apt: dict[str, Callable[[], system.Result]]
) -> None:
    record(paths, restic="0.19.1-1")
    apt["then"] = lambda: system.Result(100, "", "E: Version '0.18.*' for 'restic' was not found\n")
    with pytest.raises(NodeError, match=r"needs restic=0\.18\.\* and cannot install that: E: Version .* was not found"):
        packages.settle(paths, "standalone")


def test_what_is_still_wrong_afterwards_is_no_success(
    paths: Paths, running: dict[str, str], apt: dict[str, Callable[[], system.Result]]
) -> None:
    record(paths)
    running["restic"] = "0.19.1"
    with pytest.raises(NodeError, match=r"installed anew, and still: The program restic is 0\.19\.1"):
        packages.settle(paths, "standalone")


def test_without_dpkg_only_what_is_missing_counts(paths: Paths, running: dict[str, str]) -> None:
    assert packages.installed(paths, "standalone") == {}
    assert packages.drift(paths, "standalone") == {}


def test_a_member_of_a_cluster_needs_its_own_packages_besides(paths: Paths, running: dict[str, str]) -> None:
    record(paths, glusterfs_server="11.1-6", nfs_ganesha_gluster="6.5-1")
    assert packages.drift(paths, "standalone") == {}
    assert packages.drift(paths, "cluster") == {
        "nfs-ganesha-gluster": "The package nfs-ganesha-gluster has version 6.5-1; this stack uses 9.*."
    }


def test_a_bare_machine_installs_nothing_that_the_image_has_not() -> None:
    assert set(packages.needed("cluster").values()) <= set(NODE_PACKAGES)
