"""A member of a cluster, before it takes part: what it is told, and what is written."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from storage_node import firewall, mount, services, system
from storage_node.cluster import brick, client, glusterd, member, membership, names
from storage_node.errors import NodeError
from storage_node.floating import service as floating
from storage_node.paths import Paths
from tests.storage_node import nodes
from tests.storage_node.nodes import UUIDS, cluster, cluster_spec

pytestmark = pytest.mark.cluster


SECRETS = {"privateKey": "key", "certificate": "certificate", "authority": "authority", "secret": "s" * 32}


def test_a_cluster_survives_being_written_down_and_read_again() -> None:
    assert membership.parse(cluster().values()) == cluster()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"layout": "striped"}, "cluster.layout is 'striped'; it has to be replicated or dispersed."),
        ({"members": cluster_spec(2)["members"]}, "cluster.members has 2 entries; a cluster has 3, 5 or 7."),
        (
            {"members": cluster_spec(3)["members"][:2] + cluster_spec(3)["members"][:1]},
            "two of them have the same name",
        ),
        ({"floatingAddress": "somewhere"}, "cluster.floatingAddress is 'somewhere'"),
    ],
)
def test_what_no_cluster_can_be_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(NodeError, match=words.replace(".", r"\.")):
        cluster(**changes)


def test_a_member_needs_its_credentials_and_no_message_shows_them() -> None:
    found = nodes.configure_spec(topology="cluster", name="storage-2", cluster={**cluster_spec(), **SECRETS})
    assert found.credentials is not None
    assert "s" * 32 not in repr(found)
    for missing in SECRETS:
        with pytest.raises(NodeError, match=f"cluster.{missing} in the specification is missing"):
            nodes.configure_spec(
                topology="cluster", name="storage-2", cluster={**cluster_spec(), **SECRETS, missing: ""}
            )
    with pytest.raises(NodeError, match="do not name this node, storage-9"):
        nodes.configure_spec(topology="cluster", name="storage-9", cluster={**cluster_spec(), **SECRETS})


def test_only_members_reach_the_ports_of_the_cluster() -> None:
    text = firewall.ruleset((), (), "storage-2", cluster())
    assert "elements = { 10.77.0.11/32, 10.77.0.12/31 }" in text
    assert "tcp dport { 24007, 24011, 49152-49251 } ip saddr @members_v4 accept" in text
    assert "tcp dport { 24007, 24011, 49152-49251 } drop" in text
    assert "udp dport { 24010 } ip saddr @keepers_v4 accept" in text
    assert "24007" not in firewall.ruleset((), (), "storage-1", None)


def test_a_member_talks_to_the_others_from_its_own_address_alone() -> None:
    text = firewall.ruleset((), (), "storage-2", cluster())
    assert "ip daddr @members_v4 ip saddr != 10.77.0.12 snat ip to 10.77.0.12" in text
    assert "snat" not in firewall.ruleset((), (), "storage-2", None)


def test_a_brick_has_another_name_on_each_fresh_disk_and_keeps_it(tmp_path: Path) -> None:
    names = set()
    for disk in ("one", "two"):
        paths = Paths(tmp_path / disk)
        paths.at(paths.brick_mount).mkdir(parents=True)
        names.add(brick.ensure(paths, lambda _: False))
        assert brick.ensure(paths, lambda _: False) in names
    assert len(names) == 2


def processor(paths: Paths, line: str = "flags : fpu aes pclmulqdq avx") -> Paths:
    paths.at("/proc").mkdir()
    paths.at("/proc/cpuinfo").write_text(f"processor : 0\n{line}\nbugs : none\n")
    return paths


def test_glusterd_knows_all_members_and_tls_before_it_starts(tmp_path: Path) -> None:
    paths = processor(Paths(tmp_path))
    credentials = membership.credentials(SECRETS)
    assert glusterd.configure(paths, "storage-2", cluster(), credentials)
    assert not glusterd.configure(paths, "storage-2", cluster(), credentials)
    home = paths.at("/var/lib/glusterd")
    assert (home / "glusterd.info").read_text().startswith(f"UUID={UUIDS[1]}\n")
    assert sorted(path.name for path in (home / "peers").iterdir()) == [UUIDS[0], UUIDS[2]]
    assert (home / "secure-access").exists()
    service = (paths.units / "glusterd.service.d/backup-storage.conf").read_text()
    found = re.search(r"^Environment=OPENSSL_CONF=(\S+)$", service, re.MULTILINE)
    assert found
    assert "NumTickets = 0" in paths.at(found[1]).read_text().splitlines()
    assert paths.at("/etc/ssl/glusterfs.key").stat().st_mode & 0o777 == 0o600
    assert glusterd.configure(paths, "storage-2", cluster(5), credentials)


def test_a_started_volume_is_mounted_by_a_hook_of_glusterd(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    assert not client.configure(paths, "storage-2", cluster())  # systemd knows no older one
    (hook,) = paths.at("/var/lib/glusterd/hooks/1/start/post").iterdir()
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "systemctl").write_text(f'#!/bin/sh\necho "$@" >{tmp_path}/asked\n')
    (programs / "systemctl").chmod(0o755)
    # glusterd tells what it did by arguments, and runs none but those that begin with an S and may be executed.
    assert hook.name.startswith("S")
    subprocess.run([hook, "--volname=data", "--first=yes"], env={"PATH": str(programs)}, check=True)
    assert (tmp_path / "asked").read_text() == "start --no-block storage-node-data.service\n"
    assert client.files(paths, "storage-2", cluster())[hook] == hook.read_text()


@pytest.mark.parametrize(
    ("line", "first"),
    [
        ("flags : fpu aes pclmulqdq avx avx2", "TLS_AES_128_GCM_SHA256"),
        ("flags : fpu aes pclmulqdq ssse3", "TLS_CHACHA20_POLY1305_SHA256"),
        ("Features : fp asimd aes pmull sha1", "TLS_AES_128_GCM_SHA256"),
        ("Features : fp asimd", "TLS_CHACHA20_POLY1305_SHA256"),
    ],
)
def test_the_servers_prefer_the_cipher_that_the_processor_is_fast_at(tmp_path: Path, line: str, first: str) -> None:
    contents = glusterd.files(processor(Paths(tmp_path), line)).values()
    (listed,) = [words for content in contents for words in re.findall(r"^Ciphersuites = (.*)$", content, re.MULTILINE)]
    suites = listed.split(":")
    assert suites[0] == first
    assert len(set(suites)) == 3


def test_a_keeper_that_runs_with_other_members_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths, ran = Paths(tmp_path), list[str]()
    paths.at("/run/systemd/system").mkdir(parents=True)
    monkeypatch.setattr(client, "await_mounted", lambda _: None)
    monkeypatch.setattr(mount, "close_to_users", lambda _: None)

    def run(words: Sequence[str], **_: object) -> system.Result:
        ran.append(" ".join(words))
        return system.Result(0, "", "")

    monkeypatch.setattr(system, "run", run)
    again = f"systemctl try-reload-or-restart {floating.SERVICE}"
    # None runs yet, or another cluster's list was read: nothing else tells what a process has read.
    for known, expected in ((None, True), (cluster(), True), (cluster(5), False)):
        ran.clear()
        if known is not None:
            paths.floating_members.parent.mkdir(exist_ok=True)
            paths.floating_members.write_text(repr(known))
        member.serve(paths, cluster(5))
        assert (again in ran) is expected
        assert ran[-1] == f"systemctl start {floating.SERVICE}"


@pytest.fixture
def restarted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Whatever is restarted by `member.configure`, on a machine that has its brick and runs no glusterd."""
    units: list[str] = []
    monkeypatch.setattr(brick, "ensure", lambda *_: "/brick/brick-0")
    monkeypatch.setattr(mount, "mounted_at", lambda _: mount)
    monkeypatch.setattr(glusterd, "start", lambda *_, **__: None)
    monkeypatch.setattr(services, "restart_if_active", lambda _, unit: units.append(unit))
    return units


def test_the_keeper_of_the_bricks_is_always_of_the_installed_program(tmp_path: Path, restarted: list[str]) -> None:
    credentials, paths = membership.credentials(SECRETS), processor(Paths(tmp_path))
    # On a fresh node it does not run yet, and is not asked for.
    for renewed, expected in ((True, []), (False, []), (True, ["storage-node-brick.service"])):
        member.configure(paths, "storage-1", cluster(), credentials, renewed=renewed)
        assert restarted == expected


def test_the_keeper_of_the_address_signs_with_the_secret_that_the_others_have(
    tmp_path: Path, restarted: list[str]
) -> None:
    paths = processor(Paths(tmp_path))
    # A state that was lost and made anew has another secret; on a fresh node there is no keeper to tell.
    for secret, expected in (("s" * 32, []), ("s" * 32, []), ("t" * 32, [floating.SERVICE])):
        member.configure(
            paths, "storage-1", cluster(), membership.credentials({**SECRETS, "secret": secret}), renewed=False
        )
        assert restarted == expected
        assert paths.cluster_secret.read_text() == f"{secret}\n"


def test_a_node_of_another_cluster_is_left_alone(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    home = paths.at("/var/lib/glusterd")
    (home / "vols" / "precious").mkdir(parents=True)
    (home / "vols" / "precious" / "info").touch()
    (home / "glusterd.info").write_text(f"UUID={UUIDS[6]}\noperating-version=110000\n")
    with pytest.raises(NodeError, match="already a member of another GlusterFS cluster"):
        glusterd.configure(paths, "storage-1", cluster(), membership.credentials(SECRETS))
    assert UUIDS[6] in (home / "glusterd.info").read_text()


def test_no_name_server_is_asked_for_a_members_name(tmp_path: Path) -> None:
    hosts = tmp_path / "etc/hosts"
    names.configure(Paths(tmp_path), cluster(3))
    assert hosts.read_text().splitlines() == [
        f"10.77.0.{number} 10.77.0.{number} # backup storage" for number in (11, 12, 13)
    ]
    # What is not ours stays, and what came of an earlier list goes.
    hosts.write_text("127.0.0.1 localhost\n10.9.9.9 10.9.9.9 # backup storage\n")
    names.configure(Paths(tmp_path), cluster(3))
    lines = hosts.read_text().splitlines()
    assert lines[0] == "127.0.0.1 localhost"
    assert [line.split()[0] for line in lines[1:]] == ["10.77.0.11", "10.77.0.12", "10.77.0.13"]
