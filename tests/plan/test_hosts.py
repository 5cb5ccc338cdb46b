"""Machines that exist already: what a list of them may say."""

from typing import Any

import pytest

from plan.problems import SettingsError
from plan.settings import load

pytestmark = [pytest.mark.plan, pytest.mark.hosts]

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDfy9dQPtVxEIFyj4DGVLrzyV4cRX2xHfoNPmEVFxvV2"
OTHER_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIF6M9dHzyBcGjzUJPKDFzD5LM0pYGJmpeMZ7xn1E6PvF"

HOST = {"address": "203.0.113.7", "hostKey": KEY, "device": "/dev/disk/by-id/virtio-data"}

USUAL: dict[str, Any] = {
    "platform": "hosts",
    "hosts": [HOST],
    "sshPrivateKey": "a private key",
    "adminCidrs": ["198.51.100.4"],
    "environments": {"shop": {}},
}


def problems(**changed: Any) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load({**USUAL, **changed})
    return list(caught.value.problems)


def of_host(**changed: Any) -> list[str]:
    return problems(hosts=[{key: value for key, value in {**HOST, **changed}.items() if value is not None}])


def test_a_host_logs_in_as_root_on_port_22_and_serves_where_it_is_managed() -> None:
    (host,) = load(USUAL).hosts
    assert (host.user, host.port, host.private) == ("root", 22, "203.0.113.7")


def test_the_private_address_is_where_a_host_serves() -> None:
    (host,) = load({**USUAL, "hosts": [{**HOST, "privateAddress": "10.0.0.7"}]}).hosts
    assert host.private == "10.0.0.7"


def test_the_comment_of_a_host_key_says_nothing() -> None:
    (host,) = load({**USUAL, "hosts": [{**HOST, "hostKey": f"{KEY} root@storage\n"}]}).hosts
    assert host.host_key == KEY


@pytest.mark.parametrize("address", ["backup-1.example.org", "b", "10.0.0.7"])
def test_an_address_is_an_ipv4_address_or_a_name(address: str) -> None:
    assert load({**USUAL, "hosts": [{**HOST, "address": address}]}).hosts[0].address == address


@pytest.mark.parametrize("address", ["", "10.0.0.256", "1.2.3", "fd00::7", "a b", "-x", "x;y", 7])
def test_what_is_no_address_is_refused(address: Any) -> None:
    (text,) = of_host(address=address)
    assert text == f"backup-storage:hosts[0].address: {address!r} is no address; write an IPv4 address or a host name."


@pytest.mark.parametrize(
    "device", ["/dev/sdb", "/dev/nvme1n1", "/dev/disk/by-uuid/x", "/dev/disk/by-id/../sda", "data"]
)
def test_a_device_needs_a_name_that_it_keeps(device: str) -> None:
    (text,) = of_host(device=device)
    assert f"backup-storage:hosts[0].device: {device!r} is no name that a disk keeps; `ls -l /dev/disk/by-id`" in text


@pytest.mark.parametrize(
    ("key", "sentence"),
    [
        (f"storage.example.org {KEY}", "it begins with the host's name storage.example.org; leave that out"),
        (KEY.replace("ssh-ed25519", "ssh-rsa"), "this is no SSH host key"),
        ("ssh-ed25519 nonsense!", "this is no SSH host key"),
        ("SHA256:uNiVztksCsDhcc0u9e8BrrjFCWxNgvW1YHeFGRUGUD0", "this is no SSH host key"),
        ("", "this is no SSH host key"),
    ],
)
def test_a_host_key_is_one_line_in_authorized_keys_form(key: str, sentence: str) -> None:
    (text,) = of_host(hostKey=key)
    assert text.startswith(f"backup-storage:hosts[0].hostKey: {sentence}")


@pytest.mark.parametrize("missing", ["address", "hostKey", "device"])
def test_what_a_host_lacks_is_named(missing: str) -> None:
    assert of_host(**{missing: None}) == [f"backup-storage:hosts[0].{missing} is missing; it has to be set."]


def test_an_unknown_key_of_a_host_is_answered_with_the_valid_ones() -> None:
    assert of_host(disk="x") == [
        "backup-storage:hosts[0].disk is no setting; "
        "the settings of a host are address, device, hostKey, port, privateAddress, user."
    ]


@pytest.mark.parametrize("user", ["Root", "a b", "$(id)", ""])
def test_a_user_is_one_that_debian_can_have(user: str) -> None:
    (text,) = of_host(user=user)
    assert text.startswith(f"backup-storage:hosts[0].user: {user!r} is no user's name on Debian")


@pytest.mark.parametrize("count", [0, 2])
def test_there_is_one_host_for_each_node(count: int) -> None:
    hosts = [{**HOST, "address": f"203.0.113.{n}", "hostKey": (KEY, OTHER_KEY)[n]} for n in range(count)]
    assert problems(hosts=hosts) == [
        f"backup-storage:hosts lists {count}; this storage needs 1 machine, one for each node."
    ]


def test_a_cluster_takes_as_many_hosts_as_it_has_nodes_each_by_its_private_address() -> None:
    keys = [KEY, OTHER_KEY, OTHER_KEY.replace("DgP", "DgQ").replace("F6M", "F6N")]
    three = [{**HOST, "address": f"b{n}.example.org", "hostKey": key} for n, key in enumerate(keys)]
    assert problems(topology="cluster", hosts=three) == [
        f"backup-storage:hosts[{n}] is reached by the name b{n}.example.org; a cluster's members know each other by "
        "IPv4 addresses, set privateAddress."
        for n in range(3)
    ]
    private = [{**host, "privateAddress": f"10.0.0.{n}"} for n, host in enumerate(three)]
    assert len(load({**USUAL, "topology": "cluster", "hosts": private}).hosts) == 3


@pytest.mark.parametrize(
    ("second", "what"),
    [
        ({"hostKey": OTHER_KEY}, "address and port"),
        ({"hostKey": OTHER_KEY, "port": 2222, "privateAddress": "203.0.113.7"}, "private address"),
        ({"address": "203.0.113.8"}, "host key"),
    ],
)
def test_a_host_that_is_listed_twice_is_refused(second: dict[str, Any], what: str) -> None:
    found = problems(hosts=[HOST, {**HOST, **second}])
    assert any(text.startswith(f"backup-storage:hosts[1] has the same {what} as hosts[0]; list") for text in found)


def test_all_that_hosts_need_is_asked_for_at_once() -> None:
    with pytest.raises(SettingsError) as caught:
        load({"platform": "hosts"})
    keys = [text.split()[0] for text in caught.value.problems]
    assert keys == ["backup-storage:hosts", "backup-storage:sshPrivateKey", "backup-storage:adminCidrs"]


def test_a_problem_is_told_once() -> None:
    assert len(of_host(address="?")) == 1


@pytest.mark.parametrize("key", ["hosts", "sshPrivateKey"])
def test_hosts_are_refused_on_another_platform(key: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load({key: USUAL[key]})
    assert caught.value.problems == (
        f"backup-storage:{key} is a setting of platform hosts, and this stack's platform is local: "
        "it means nothing here. Take it out.",
    )


def test_an_empty_private_key_is_none() -> None:
    assert load({"sshPrivateKey": ""}).ssh_private_key is None


def test_the_private_key_is_never_shown() -> None:
    settings = load({**USUAL, "sshPrivateKey": "a-secret-key"})
    assert "a-secret-key" not in repr(settings) + str(settings.model_dump())
    (text,) = problems(sshPrivateKey=["a-secret-key"])
    assert text == "backup-storage:sshPrivateKey must be text; what it is set to is not shown."
