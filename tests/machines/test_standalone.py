"""A standalone storage, end to end on a real machine, through nothing but the Makefile and the outputs."""

import json

import jsonschema
import pytest

from tests.plan.test_addon import SCHEMA
from tests.project import Project, boot_id, connections

pytestmark = [pytest.mark.machine, pytest.mark.standalone]

#: What the first `up` of a storage with two environments may use: copy, configuration, environments, and as many
#: again for a machine that does not answer at once.
MOST_CONNECTIONS = 6


def test_the_outputs_follow_the_contract(standalone: Project) -> None:
    known = standalone.outputs()
    jsonschema.validate(known["addon"], SCHEMA)
    assert known["environments"] == ["blog", "shop"]
    assert known["topology"] == "standalone"
    assert known["dataPath"] == "/data"
    assert known["health"]["storage-1"]["healthy"] is True
    passwords = {environment["password"] for environment in known["addon"]["environments"].values()}
    passwords.add(known["addon"]["environments"]["blog"]["restoreFrom"]["shop"]["password"])
    assert len(passwords) == 3


def test_secret_outputs_are_hidden_unless_asked_for(standalone: Project) -> None:
    shown = json.loads(standalone.shell("pulumi stack output --json --stack test").stdout)
    assert shown["addon"] == shown["operator"] == "[secret]"
    assert shown["nodes"][0]["privateAddress"] == "10.77.0.11"


def test_the_first_up_takes_few_connections(standalone: Project) -> None:
    assert 3 <= standalone.first_connections <= MOST_CONNECTIONS


def test_a_second_up_changes_nothing_and_connects_to_nothing(standalone: Project) -> None:
    with standalone.operator() as operator:
        before = connections(operator)
        said = standalone.make("up").stdout
        assert "unchanged" in said
        assert not any(word in said for word in ("created", "updated", "deleted", "replaced", "warning"))
        assert connections(operator) == before


def test_a_share_is_all_that_one_environment_needs(standalone: Project) -> None:
    share = json.loads(standalone.make("outputs", ENV="blog").stdout)
    jsonschema.validate(share, SCHEMA)
    assert list(share["environments"]) == ["blog"]
    refused = standalone.make("outputs", ENV="ghost", check=False)
    assert refused.returncode != 0
    assert "There is no environment ghost in stack test; there are: blog, shop." in refused.stdout


def test_status_says_what_the_node_says(standalone: Project) -> None:
    known = standalone.status()
    assert known["healthy"] is True
    assert known["nodes"]["storage-1"]["exports"] == 2
    assert "healthy" in standalone.make("status").stdout


def test_make_ssh_runs_a_command_on_the_node(standalone: Project) -> None:
    said = standalone.make("ssh", NODE="storage-1", CMD="cd /data && hostname; echo $PWD $(id -u)").stdout
    assert said.split()[-3:] == ["storage-1", "/data", "0"]


def test_the_addons_whole_flow_holds(standalone: Project) -> None:
    said = standalone.make("demo").stdout
    assert said.rstrip().endswith("Everything held.")
    assert said.count("ok ") >= 14


def test_data_is_back_after_a_reboot_and_nothing_writes_below_it(standalone: Project) -> None:
    with standalone.operator() as operator:
        booted = boot_id(operator)
        operator.run("systemd-run --on-active=1 systemctl reboot")
    standalone.wait_for_boot(after=booted)
    with standalone.operator() as operator:
        assert operator.run("findmnt -n -o FSTYPE /data").strip() == "xfs"
        operator.run("systemctl stop nfs-server && umount /data")
        refused = operator.attempt("touch /data/lost")
        operator.run("systemctl start data.mount nfs-server")
        assert refused.status != 0
        assert "Operation not permitted" in refused.error
        assert json.loads(operator.run("/root/getBackups.sh"))["envs"] == ["blog", "shop"]
