"""The resource graph of a standalone storage."""

import json
from typing import Any

import pulumi
import pytest

from plan.passwords import derive
from tests.components.recorder import Graph, plain, run_program, secret_of

pytestmark = pytest.mark.components

ENVIRONMENTS: dict[str, dict[str, Any]] = {
    "shop": {"clients": ["10.77.0.101"], "readers": ["blog"]},
    "blog": {"clients": ["10.77.0.102"], "generation": 3},
}


@pytest.fixture(scope="module")
def graph() -> Graph:
    return run_program({"environments": ENVIRONMENTS, "sizeGb": 20, "protect": False})


def specification(graph: Graph, name: str) -> dict[str, Any]:
    return dict(json.loads(plain(graph.resources[name].inputs["stdin"])))


def test_all_passwords_come_from_one_secret_and_an_environment_adds_no_resource(graph: Graph) -> None:
    (root,) = graph.of_type("random:index/randomPassword:RandomPassword")
    assert root.inputs == {"length": 64, "special": False}, "any change here would turn every password"
    more = run_program({"environments": {**ENVIRONMENTS, "docs": {"clients": [], "readers": ["shop"]}}})
    assert set(more.resources) == set(graph.resources)


@pytest.mark.parametrize("protect", [True, False])
def test_the_secret_is_kept_as_the_data_disks_are(protect: bool) -> None:
    known = run_program({"environments": ENVIRONMENTS, "protect": protect})
    for kept in ("environments-secret-root", "storage-1-data"):
        assert known.options[kept].protect is protect
        assert known.options[kept].retain_on_delete is protect


def test_a_raised_generation_turns_the_passwords_of_its_environment_alone(graph: Graph) -> None:
    shop = {**ENVIRONMENTS["shop"], "generation": 2}
    turned = run_program({"environments": {**ENVIRONMENTS, "shop": shop}, "sizeGb": 20, "protect": False})
    old, new = (specification(each, "environments-storage-1")["environments"] for each in (graph, turned))
    assert old["shop"]["password"] != new["shop"]["password"]
    assert old["shop"]["readers"]["blog"]["password"] != new["shop"]["readers"]["blog"]["password"]
    assert old["blog"] == new["blog"]


def test_three_connections_set_a_standalone_storage_up(graph: Graph) -> None:
    remote = [name for name, resource in graph.resources.items() if resource.typ.startswith("command:remote:")]
    assert remote == ["storage-1-program", "storage-1-configure", "environments-storage-1"]


def test_every_command_pins_the_host_key_and_is_the_same_line_for_create_and_update(graph: Graph) -> None:
    for command in graph.of_type("command:remote:Command"):
        assert plain(command.inputs["connection"])["hostKey"] == "ssh-ed25519 storage-1-host-key"
        assert command.inputs["create"] == command.inputs["update"]
        assert "delete" not in command.inputs
        assert command.inputs["addPreviousOutputInEnv"] is False
        assert "environment" not in command.inputs


def test_passwords_travel_on_stdin_alone(graph: Graph) -> None:
    told = specification(graph, "environments-storage-1")["environments"]
    root = secret_of("environments-secret-root")
    secrets = [root, told["shop"]["password"], told["blog"]["password"], told["shop"]["readers"]["blog"]["password"]]
    assert secrets[1:] == [derive(root, "shop", 1), derive(root, "blog", 3), derive(root, "shop", 1, reader="blog")]
    assert told["shop"]["readers"]["blog"]["clients"] == ["10.77.0.102"]
    for name, resource in {**graph.resources, **graph.components}.items():
        shown = json.dumps({key: value for key, value in resource.inputs.items() if key != "stdin"}, default=str)
        assert [secret for secret in secrets if secret in shown] == [], name


def test_the_step_with_passwords_is_secret_and_silent(graph: Graph) -> None:
    step = graph.resources["environments-storage-1"].inputs
    assert step["logging"] == "none"
    assert plain(step["stdin"]) != step["stdin"]


def test_the_configuration_step_names_disk_size_and_who_may_use_ssh(graph: Graph) -> None:
    told = specification(graph, "storage-1-configure")
    assert told["device"] == "/dev/disk/by-id/virtio-storage-1-data"
    assert told["sizeGb"] == 20
    assert told["firewall"] == {"ssh": ["10.0.2.2"]}


def test_two_stacks_never_take_each_others_file_system(graph: Graph) -> None:
    other = run_program({}, stack="other")
    ours, theirs = (specification(each, "storage-1-configure")["filesystem"] for each in (graph, other))
    assert ours != theirs


def test_settings_that_cannot_be_used_end_the_program_before_any_resource() -> None:
    with pytest.raises(pulumi.RunError, match=r"2 problems in the settings"):
        run_program({"sizeGb": 1, "typo": True})
