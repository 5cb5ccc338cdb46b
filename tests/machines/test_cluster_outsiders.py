"""A machine outside the cluster asks GlusterFS itself, and for a copy: neither command line nor client gets anywhere.

The firewall refuses it whatever it can show, and where the firewall would take it for a member, TLS does.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from demo.machines import application_machines
from demo.shell import Shell
from tests.authority import Authority
from tests.machines.clusters import PROOF, Cluster, formed, let_in, proven

pytestmark = [pytest.mark.long, pytest.mark.machine, pytest.mark.cluster]

CLIENT, STRANGER = "10.77.0.101", "10.77.0.200"
PLACE = "/srv/taken"

#: Where a member that lost its brick asks for a copy.
DONOR_PORT = 24011

#: The firewall lets a packet fall without a word, so a refusal is an attempt that gets nowhere for so long. What is let
#: in is there within a few seconds.
ATTEMPT_SECONDS = 40


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with formed(tmp_path_factory.mktemp("outsiders") / "project") as made:
        made.whole()
        yield made


@pytest.fixture(scope="module")
def nodes(cluster: Cluster) -> Iterator[list[Shell]]:
    with ExitStack() as opened:
        yield [opened.enter_context(cluster.shell(node)) for node in cluster.nodes]


@pytest.fixture(scope="module")
def machines(cluster: Cluster) -> Iterator[dict[str, Shell]]:
    """An environment's own machine, and one that is nobody's."""
    addresses = {"shop": CLIENT, "stranger": STRANGER}
    with application_machines(cluster.directory, addresses, lambda _: None) as shells:
        yield shells


@contextmanager
def mounted(machine: Shell, node: str) -> Iterator[bool]:
    """Tries the volume's own client; gives whether the volume is there. It exits 0 where it was refused, too."""
    machine.run(f"mkdir -p {PLACE}")
    machine.attempt(f"timeout -s KILL {ATTEMPT_SECONDS} glusterfs --volfile-server={node} --volfile-id=data {PLACE}")
    try:
        seen = machine.attempt(f"timeout -s KILL 30 ls -a {PLACE}")
        there = machine.attempt(f"grep -q ' {PLACE} fuse.glusterfs ' /proc/mounts").status == 0
        yield there and seen.status == 0 and ".storage-node" in seen.output.split()
    finally:
        machine.attempt(f"umount --lazy {PLACE}")


def is_answered(machine: Shell, node: str) -> bool:
    """Whether a node's glusterd answers its command line on this machine."""
    line = f"timeout -s KILL {ATTEMPT_SECONDS} gluster --mode=script --remote-host={node} volume info data"
    said = machine.attempt(line)
    return said.status == 0 and "Volume Name: data" in said.output


def is_given(machine: Shell, node: str) -> bool:
    """Whether a node tells this machine what it tells a member that lost its brick, before it gives it a copy."""
    key, certificate, authority, _ = PROOF
    line = (
        f"set --; test -e {key} && set -- -key {key} -cert {certificate} -CAfile {authority}; "
        '{ echo \'{"want": "account"}\'; sleep 20; } | '
        f'timeout -s KILL {ATTEMPT_SECONDS} openssl s_client -quiet -connect {node}:{DONOR_PORT} "$@"'
    )
    return '"accused"' in machine.attempt(line).output


def everything_is_refused(machine: Shell, node: str) -> None:
    assert not is_answered(machine, node)
    assert not is_given(machine, node)
    with mounted(machine, node) as there:
        assert not there


def test_no_machine_outside_mounts_or_commands(cluster: Cluster, machines: dict[str, Shell]) -> None:
    for facts, machine in zip(cluster.outputs["nodes"], machines.values(), strict=False):
        everything_is_refused(machine, facts["privateAddress"])


def test_no_machine_outside_is_taken_into_the_pool(
    cluster: Cluster, machines: dict[str, Shell], nodes: list[Shell]
) -> None:
    address = cluster.outputs["nodes"][0]["privateAddress"]
    stranger = machines["stranger"]
    before = nodes[0].run("gluster --mode=script pool list")
    stranger.run("systemctl start glusterd")
    with proven(stranger, nodes[0]):
        probed = stranger.attempt(f"timeout -s KILL 180 gluster --mode=script peer probe {address}")
    stranger.run("systemctl stop glusterd")
    assert probed.status != 0
    assert nodes[0].run("gluster --mode=script pool list") == before


def test_a_members_certificate_in_a_clients_hands_opens_nothing(
    cluster: Cluster, machines: dict[str, Shell], nodes: list[Shell]
) -> None:
    machine, node = machines["shop"], cluster.outputs["nodes"][0]["privateAddress"]
    with proven(machine, nodes[0]):
        everything_is_refused(machine, node)


def test_where_the_firewall_errs_only_a_members_certificate_opens(
    cluster: Cluster, machines: dict[str, Shell], nodes: list[Shell]
) -> None:
    machine, node = machines["stranger"], cluster.outputs["nodes"][0]["privateAddress"]
    with let_in(nodes, STRANGER):
        everything_is_refused(machine, node)
        foreign = Authority()
        key, certificate = foreign.member("storage-2")
        for path, text in zip(PROOF, (key, certificate, foreign.certificate, "\n"), strict=True):
            machine.put(path, text)
        everything_is_refused(machine, node)
        # The control: what was refused is refused for want of this.
        with proven(machine, nodes[1]):
            assert is_answered(machine, node)
            assert is_given(machine, node)
            with mounted(machine, node) as there:
                assert there
    cluster.whole()
