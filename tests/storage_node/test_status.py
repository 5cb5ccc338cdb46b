"""The node's health: true when all is well, and in words what is not."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable

import pytest

from storage_node import commands, environments, mount, packages, services, status, system
from storage_node.paths import Paths
from storage_node.restic import command
from storage_node.spec import Environments
from tests.storage_node import nodes, quick_restic
from tests.storage_node.nodes import entry, environments_spec, password


@pytest.fixture
def wanted() -> Environments:
    return environments_spec(shop=entry(password(), ("10.1.0.0/16", "fd00::1")))


@pytest.fixture
def node(paths: Paths, configured: nodes.Services, wanted: Environments, monkeypatch: pytest.MonkeyPatch) -> Paths:
    """A healthy node with one environment."""
    monkeypatch.setattr(command, "init", quick_restic.init)
    monkeypatch.setattr("storage_node.packages.restic_version", lambda _: "0.18.0")
    environments.apply(paths, wanted)
    return paths


def test_a_healthy_node(node: Paths, capsys: pytest.CaptureFixture[str]) -> None:
    assert commands.run(["status", "--json"], node) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["node"], found["healthy"], found["problems"], found["exports"]) == ("dev-storage-1", True, [], 1)
    assert found["data"]["totalBytes"] > found["data"]["freeBytes"] > 0
    assert found["environments"]["shop"]["usageBytes"] > 0
    assert len(found["program"]) == 64
    assert found["restic"] == "0.18.0"


def test_the_table_is_for_people(node: Paths, capsys: pytest.CaptureFixture[str]) -> None:
    assert commands.run(["status"], node) == 0
    out = capsys.readouterr().out
    assert "dev-storage-1: healthy" in out
    assert "shop" in out


def _export_removed(paths: Paths) -> None:
    paths.export_table.write_text("")


def _export_to_a_stranger(paths: Paths) -> None:
    with paths.export_table.open("a") as file:
        file.write("/data/shop\t192.0.2.1(rw,sync)\n")


def _export_to_everyone(paths: Paths) -> None:
    with paths.export_table.open("a") as file:
        file.write("/data\t*(ro,sync)\n")


def _export_read_only(paths: Paths) -> None:
    paths.export_table.write_text(paths.export_table.read_text().replace("rw,", "ro,"))


def _program_changed(paths: Paths) -> None:
    with paths.program.open("ab") as file:
        file.write(b"x")


def _firewall_file_edited(paths: Paths) -> None:
    with paths.nftables.open("a") as file:
        file.write("# more\n")


def _firewall_rules_edited(paths: Paths) -> None:
    (paths.settings / "firewall").write_text("of another ruleset")


def _nfs_settings_edited(paths: Paths) -> None:
    paths.nfs_conf.write_text("[nfsd]\nvers3=y\n")


def _package_of_another_version(paths: Paths) -> None:
    paths.packages.parent.mkdir(parents=True)
    entries = [f"Package: {name}\nStatus: install ok installed\nVersion: 9\n" for name in packages.NEEDED.values()]
    paths.packages.write_text("\n".join(entries))


def _repository_gone(paths: Paths) -> None:
    shutil.rmtree(paths.repository("shop"))


def _repository_out_of_reach(paths: Paths) -> None:
    """By an error that is not its absence, as from a volume without a majority."""
    _repository_gone(paths)
    paths.repository("shop").symlink_to("shop")


@pytest.mark.parametrize(
    ("drift", "words"),
    [
        (_export_removed, "/data/shop is not exported to 10.1.0.0/16."),
        (_export_to_a_stranger, "/data/shop is exported to 192.0.2.1, who may not reach it."),
        (_export_to_everyone, "/data is exported to *, who may not reach it."),
        (_export_read_only, "/data/shop is exported to 10.1.0.0/16 with the wrong right to write."),
        (_program_changed, "is not the version that this stack uses."),
        (_firewall_file_edited, "nftables.conf is not what this stack asks for."),
        (_firewall_rules_edited, "The firewall's rules are not those that were loaded."),
        (_nfs_settings_edited, "backup-storage.conf is not what this stack asks for."),
        (_package_of_another_version, "The package restic has version 9; this stack uses 0.18.*."),
        (_repository_gone, "shop: its repository"),
        (_repository_out_of_reach, "cannot be read: Too many levels of symbolic links."),
    ],
)
def test_drift_is_named_and_unhealthy(
    node: Paths, capsys: pytest.CaptureFixture[str], drift: Callable[[Paths], None], words: str
) -> None:
    drift(node)
    assert commands.run(["status", "--json"], node) == 1
    assert any(words in problem for problem in json.loads(capsys.readouterr().out)["problems"])


@pytest.mark.parametrize(
    "drift",
    [_export_removed, _export_to_a_stranger, _firewall_file_edited, _firewall_rules_edited, _nfs_settings_edited],
)
def test_the_steps_put_drift_right(node: Paths, wanted: Environments, drift: Callable[[Paths], None]) -> None:
    drift(node)
    assert not status.collect(node)["healthy"]
    services.configure(node, "standalone")
    assert environments.apply(node, wanted)["health"]["healthy"]


def test_an_unmounted_disk_is_named(node: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mount, "mounted_at", lambda *_: None)
    found = status.collect(node)
    assert "The data disk is not mounted at /data." in found["problems"]
    assert not found["healthy"]


def test_a_volume_out_of_reach_is_named(node: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    def out_of_reach(_: object) -> os.statvfs_result:
        raise OSError(errno.ENOTCONN, os.strerror(errno.ENOTCONN))

    monkeypatch.setattr(os, "statvfs", out_of_reach)
    found = status.collect(node)
    assert "/data cannot be read: Transport endpoint is not connected." in found["problems"][0]
    assert found["data"]["totalBytes"] == 0


def test_a_stopped_service_is_named(node: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    node.at("/run/systemd/system").mkdir(parents=True)
    units = services.running(node, "standalone")
    states = ["failed", *["active"] * (len(units) - 1)]
    monkeypatch.setattr(system, "run", lambda *_, **__: system.Result(3, "\n".join(states), ""))
    found = status.collect(node)
    assert found["services"]["nfs-server.service"] == "failed"
    assert "nfs-server.service is failed." in found["problems"]
    assert "The firewall is not loaded." in found["problems"]


def test_a_node_that_was_never_configured_says_so(paths: Paths, capsys: pytest.CaptureFixture[str]) -> None:
    assert commands.run(["status"], paths) == 1
    assert "has not been configured yet" in capsys.readouterr().err
