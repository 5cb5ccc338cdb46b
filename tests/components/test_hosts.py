"""The resource graph of a storage on machines that exist already."""

import json
from typing import Any

import pulumi
import pytest

from components.platforms.hosts_survey import HostsProvider
from tests.components.recorder import Graph, plain, run_program
from tests.plan.test_hosts import HOST, KEY, OTHER_KEY, USUAL

pytestmark = [pytest.mark.components, pytest.mark.hosts]

SECRETS = ["sshPrivateKey"]


def run(**changed: Any) -> Graph:
    host = {**HOST, "user": "admin", "port": 2222, "privateAddress": "10.0.0.7", **changed}
    return run_program({**USUAL, "hosts": [host], "protect": False}, secrets=SECRETS)


@pytest.fixture(scope="module")
def graph() -> Graph:
    return run()


def test_no_machine_disk_or_key_is_made(graph: Graph) -> None:
    types = {resource.typ for resource in graph.resources.values()}
    assert types == {
        "pulumi-python:dynamic/hosts:Hosts",
        "pulumi-python:dynamic/index:Shape",
        "random:index/randomPassword:RandomPassword",
        "command:remote:CopyToRemote",
        "command:remote:Command",
    }


def test_every_connection_goes_to_the_host_with_its_key_pinned(graph: Graph) -> None:
    for name in ("storage-1-program", "storage-1-configure", "environments-storage-1"):
        connection = plain(graph.resources[name].inputs["connection"])
        assert (connection["host"], connection["port"], connection["user"]) == ("203.0.113.7", 2222, "admin")
        assert connection["hostKey"] == KEY
        assert plain(connection["privateKey"]) == "a private key\n"


def test_the_private_key_is_nowhere_in_clear(graph: Graph) -> None:
    for name, resource in graph.resources.items():
        assert "a private key" not in json.dumps(in_clear(resource.inputs), default=str), name


def test_a_user_who_is_not_root_elevates_every_step_and_root_none(graph: Graph) -> None:
    steps = {name: r.inputs["create"] for name, r in graph.resources.items() if r.typ == "command:remote:Command"}
    assert len(steps) == 2
    assert all(line.startswith('sudo -n env "SSH_CONNECTION=$SSH_CONNECTION" ') for line in steps.values())
    assert not any("sudo" in r.inputs["create"] for r in run(user="root").of_type("command:remote:Command"))


def test_the_program_is_copied_to_where_every_user_may_write(graph: Graph) -> None:
    path = graph.resources["storage-1-program"].inputs["remotePath"]
    assert not path.startswith("/")
    assert f"python3 -IS {path} configure" in graph.resources["storage-1-configure"].inputs["create"]


def test_another_user_has_the_program_copied_into_another_home(graph: Graph) -> None:
    copied = [each.resources["storage-1-program"].inputs["triggers"] for each in (graph, run(user="root"))]
    assert copied[0] != copied[1]


def test_the_node_is_told_its_disk_and_who_may_use_ssh(graph: Graph) -> None:
    told = json.loads(graph.resources["storage-1-configure"].inputs["stdin"])
    assert told["device"] == "/dev/disk/by-id/virtio-data"
    assert told["firewall"] == {"ssh": ["198.51.100.4"]}


def test_the_host_is_looked_at_for_the_file_system_that_the_node_will_have(graph: Graph) -> None:
    (entry,) = graph.resources["hosts"].inputs["hosts"]
    told = json.loads(graph.resources["storage-1-configure"].inputs["stdin"])
    assert (entry["node"], entry["filesystem"]) == (told["name"], told["filesystem"])


@pytest.mark.parametrize("changed", [{"hostKey": OTHER_KEY}, {"device": "/dev/disk/by-id/another"}])
def test_another_machine_or_disk_is_configured_anew(graph: Graph, changed: dict[str, str]) -> None:
    assert instance(run(**changed)) != instance(graph)


def test_another_way_to_the_same_machine_leaves_it_as_it_is(graph: Graph) -> None:
    assert instance(run(address="203.0.113.99", user="root")) == instance(graph)


def test_a_private_key_in_clear_is_refused() -> None:
    with pytest.raises(
        pulumi.RunError, match=r"backup-storage:sshPrivateKey is in clear in the stack's settings"
    ) as caught:
        run_program(USUAL)
    assert "a private key" not in str(caught.value)


def test_what_the_engine_keeps_of_the_provider_never_changes() -> None:
    assert not vars(HostsProvider())


def instance(graph: Graph) -> str:
    return str(json.loads(graph.resources["storage-1-configure"].inputs["stdin"])["instance"])


def in_clear(value: Any) -> Any:
    """A value without the secrets in it."""
    if isinstance(value, dict):
        return None if plain(value) is not value else {key: in_clear(part) for key, part in value.items()}
    return [in_clear(part) for part in value] if isinstance(value, list) else value
