"""Who may reach what over NFS, for any settings."""

from __future__ import annotations

import ipaddress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage_node import exports, firewall, system
from storage_node.errors import NodeError
from storage_node.exports import Export
from storage_node.paths import Paths
from storage_node.spec import Network
from tests.storage_node import nodes

network = st.builds(
    lambda address, length: ipaddress.ip_network((address, length), strict=False),
    # Few distinct addresses, so that blocks often hold or equal each other.
    st.integers(0x0A000000, 0x0A000007) | st.integers(0x0A000000, 0x0AFFFFFF),
    st.integers(24, 32),
) | st.builds(
    lambda address, length: ipaddress.ip_network((address, length), strict=False),
    st.integers(0xFD << 120, (0xFD << 120) + 15),
    st.integers(120, 128),
)
networks = st.lists(network, max_size=6).map(tuple)


def _right(grants: list[tuple[Network, bool]], address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool | None:
    """What the NFS server does: the first entry that matches decides."""
    return next((writes for block, writes in grants if address in block), None)


def _holds(blocks: tuple[Network, ...], address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    return any(address in block for block in blocks)


@given(networks, networks)
def test_every_address_has_exactly_the_right_that_the_settings_give_it(
    writers: tuple[Network, ...], readers: tuple[Network, ...]
) -> None:
    grants = exports.grants(Export("/data/shop", 200000, writers, readers))
    edges = {edge for block in writers + readers for edge in (block[0], block[-1], block[0] - 1, block[-1] + 1)}
    for address in edges:
        expected = True if _holds(writers, address) else False if _holds(readers, address) else None
        assert _right(grants, address) == expected


@given(networks, networks)
def test_a_more_specific_entry_never_follows_a_wider_one(
    writers: tuple[Network, ...], readers: tuple[Network, ...]
) -> None:
    blocks = [block for block, _ in exports.grants(Export("/data/shop", 200000, writers, readers))]
    for i, wider in enumerate(blocks):
        assert not any(later.version == wider.version and later.subnet_of(wider) for later in blocks[i + 1 :])  # type: ignore[arg-type]


@given(networks, networks)
def test_what_is_written_is_what_is_read_back(writers: tuple[Network, ...], readers: tuple[Network, ...]) -> None:
    export = Export("/data/shop", 200000, writers, readers)
    lines = nodes.etab(exports.render([export]))
    assert exports.parse(lines, "/data") == exports.expected([export])


def test_the_line_maps_every_client_to_the_environment_s_user() -> None:
    export = Export("/data/shop", 200007, (ipaddress.ip_network("10.1.0.0/16"),), (ipaddress.ip_network("10.77.0.2"),))
    mapping = "sync,all_squash,anonuid=200007,anongid=200007,fsid=200007,no_subtree_check,sec=sys"
    assert exports.line(export) == f"/data/shop 10.77.0.2(ro,{mapping}) 10.1.0.0/16(rw,{mapping})\n"


def test_nobody_s_export_is_no_line() -> None:
    # A line without a client would export to the whole world.
    assert exports.line(Export("/data/shop", 200000, (), ())) == ""


def test_exports_edited_by_hand_are_put_right(paths: Paths, services: nodes.Services) -> None:
    wanted = [Export("/data/shop", 200000, (ipaddress.ip_network("10.1.0.0/16"),))]
    assert exports.apply(paths, wanted)
    assert not exports.apply(paths, wanted)
    paths.export_table.write_text("/data/shop\t0.0.0.0/0(rw,sync)\n")
    assert exports.apply(paths, wanted)
    assert exports.in_force(paths) == exports.expected(wanted)


def test_an_export_that_the_server_does_not_take_is_an_error(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system, "run", lambda *_, **__: system.Result(0, "", ""))
    with pytest.raises(NodeError, match=r"did not take the export of /data/shop to 10\.1\.0\.0/16"):
        exports.apply(paths, [Export("/data/shop", 200000, (ipaddress.ip_network("10.1.0.0/16"),))])


def test_an_export_of_the_whole_by_someone_else_is_an_error(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    def exportfs(*_: object, **__: object) -> system.Result:
        paths.export_table.parent.mkdir(parents=True, exist_ok=True)
        paths.export_table.write_text(nodes.etab(paths.exports.read_text()) + "/\t10.0.0.0/8(ro)\n/srv\t*(ro)\n")
        return system.Result(0, "", "")

    monkeypatch.setattr(system, "run", exportfs)
    with pytest.raises(NodeError, match=r"^/ is exported to 10\.0\.0\.0/8 by something else"):
        exports.apply(paths, [Export("/data/shop", 200000, (ipaddress.ip_network("10.1.0.0/16"),))])


@given(networks, networks)
def test_nft_never_sees_overlapping_blocks(ssh: tuple[Network, ...], nfs: tuple[Network, ...]) -> None:
    text = firewall.render(firewall.openings(ssh, nfs))
    for line in text.splitlines():
        if "elements = {" in line:
            blocks = [ipaddress.ip_network(part.strip()) for part in line.split("{")[1].rstrip(" }").split(",")]
            for i, one in enumerate(blocks):
                assert not any(one.overlaps(other) for other in blocks[i + 1 :])


def test_the_firewall_is_one_that_nft_takes(tmp_path: Path) -> None:
    blocks = tuple(map(ipaddress.ip_network, ("10.0.2.2", "10.0.0.0/16", "fd00::/8", "0.0.0.0/0", "::/0")))
    ruleset = tmp_path / "rules"
    ruleset.write_text(firewall.render(firewall.openings(blocks, ())) * 2)
    result = system.run(["unshare", "-n", "nft", "-f", str(ruleset)])
    if "unshare" in result.stderr:
        pytest.skip("no right to make a network namespace")
    assert result.status == 0, result.stderr


def test_a_change_in_the_kernel_s_rules_shows(tmp_path: Path) -> None:
    """What drift is found by: the same listing after every load of the same rules, another after a change by hand."""
    ruleset = tmp_path / "rules"
    blocks = tuple(map(ipaddress.ip_network, ("10.1.0.0/16", "10.77.0.102", "10.77.0.9", "fd00::/8")))
    ruleset.write_text(firewall.render(firewall.openings(blocks, blocks)))
    load, show = f"nft -f '{ruleset}'", f"nft -s list table inet {firewall.TABLE}; echo =="
    change = f"nft add element inet {firewall.TABLE} nfs_clients_v4 '{{ 192.0.2.1 }}'"
    result = system.run(["unshare", "-n", "sh", "-ec", f"{load}; {show}; {load}; {show}; {change}; {show}"])
    if "unshare" in result.stderr:
        pytest.skip("no right to make a network namespace")
    assert result.status == 0, result.stderr
    first, again, changed, _ = result.stdout.split("==\n")
    assert first == again != changed
