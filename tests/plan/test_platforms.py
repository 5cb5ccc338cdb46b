"""Settings and the platform that they are for."""

from typing import Any

import pytest

from plan.problems import SettingsError
from plan.settings import load

pytestmark = pytest.mark.plan

AWS = {"platform": "aws", "region": "eu-central-1", "adminCidrs": ["198.51.100.7"], "environments": {"shop": {}}}
SUBNETS = {"subnets": ["subnet-0123456789abcdef0"], "privateAddresses": ["10.3.0.20"]}
KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nswordfish\n-----END OPENSSH PRIVATE KEY-----\n"
BASTION = {"host": "b.example.org", "user": "ops", "hostKey": "ssh-ed25519 AAAAC3Nz root@b", "privateKey": KEY}


def problems(**raw: Any) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load(raw)
    return list(caught.value.problems)


def test_a_region_and_who_may_reach_ssh_are_all_that_aws_needs() -> None:
    settings = load(AWS)
    assert (settings.instance_type, settings.network_cidr, settings.bastion) == ("t3.small", "10.77.0.0/24", None)
    assert settings.warnings() == []


def test_without_a_region_and_admin_addresses_aws_is_refused_with_both_sentences() -> None:
    region, admin = problems(platform="aws")
    assert region == "backup-storage:region is 'local'; platform aws needs an AWS region, such as eu-central-1."
    assert admin.startswith("backup-storage:adminCidrs is empty; on aws it has to name who may reach SSH")


@pytest.mark.parametrize("region", ["us-gov-west-1", "ap-southeast-5", "eu-isoe-west-1", "eusc-de-east-1"])
def test_regions_of_every_form_are_taken(region: str) -> None:
    assert load({**AWS, "region": region}).region == region


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("instanceType", "m7i.large"),
        ("networkCidr", "10.9.0.0/24"),
        ("subnets", SUBNETS["subnets"]),
        ("privateAddresses", SUBNETS["privateAddresses"]),
        ("bastion", BASTION),
    ],
)
def test_a_setting_of_aws_is_refused_on_the_local_platform(setting: str, value: Any) -> None:
    (text,) = problems(**{setting: value})
    head = f"backup-storage:{setting} is a setting of platform aws, and this stack's platform is local: "
    assert text.startswith(head)
    assert text.endswith("Take it out.")


@pytest.mark.parametrize(("setting", "value"), [("cpus", 2), ("memoryMb", 2048)])
def test_the_size_of_a_local_machine_is_refused_on_aws(setting: str, value: int) -> None:
    (text,) = problems(**AWS, **{setting: value})
    assert f"backup-storage:{setting} is a setting of platform local" in text
    assert "instanceType decides that" in text


def test_a_faulty_platform_brings_no_complaints_about_settings_of_platforms() -> None:
    (text,) = problems(platform="azure", instanceType="t3.small", cpus=4)
    assert text == "backup-storage:platform is 'azure'; it must be 'local', 'aws' or 'hosts'."


@pytest.mark.parametrize("cidr", ["10.0.0.0/8", "10.0.0.0/25", "8.8.8.0/24", "fd00::/24"])
def test_a_network_of_the_stacks_own_is_private_and_of_a_size_that_fits(cidr: str) -> None:
    (text,) = problems(**AWS, networkCidr=cidr)
    assert text == (
        f"backup-storage:networkCidr is {cidr}; it must be a private IPv4 range from /16 to /24, such as 10.77.0.0/24."
    )


def test_own_subnets_come_with_an_address_for_each_node() -> None:
    assert load({**AWS, **SUBNETS}).private_addresses == ("10.3.0.20",)
    (text,) = problems(**AWS, subnets=SUBNETS["subnets"])
    assert text.startswith("backup-storage:privateAddresses must list 1 address, one for each node")
    (text,) = problems(**AWS, **SUBNETS | {"privateAddresses": ["10.3.0.0/24"]})
    assert text == "backup-storage:privateAddresses lists 10.3.0.0/24; a node's address is a single IPv4 address."


def test_own_subnets_and_a_network_of_the_stacks_own_exclude_each_other() -> None:
    (text,) = problems(**AWS, **SUBNETS, networkCidr="10.9.0.0/24")
    assert text.startswith("backup-storage:networkCidr is for a network of the stack's own")
    (text,) = problems(**AWS, privateAddresses=["10.3.0.20"])
    assert text.startswith("backup-storage:privateAddresses is for subnets of yours, and subnets is empty.")


def test_a_subnet_is_named_by_its_id_and_once() -> None:
    strange, twice = problems(**AWS, subnets=["main", "main"], privateAddresses=["10.3.0.20"])
    assert strange.startswith("backup-storage:subnets lists 'main'; a subnet's id looks like subnet-")
    assert twice == "backup-storage:subnets lists main more than once; list it once."


def test_a_client_with_an_address_that_no_node_answers_is_refused() -> None:
    (text,) = problems(**AWS | {"environments": {"shop": {"clients": ["fd00::7"]}}})
    assert text == "backup-storage:environments.shop.clients lists fd00::7; the nodes on aws have IPv4 addresses only."


def test_ssh_open_to_the_internet_is_a_warning() -> None:
    (text,) = load({**AWS, "adminCidrs": ["0.0.0.0/0"]}).warnings()
    assert "opens SSH to the whole internet (0.0.0.0/0)" in text


def test_a_bastion_has_a_pinned_host_key_and_a_secret_key() -> None:
    bastion = load({**AWS, "bastion": BASTION}).bastion
    assert bastion is not None
    assert (bastion.port, bastion.host_key) == (22, "ssh-ed25519 AAAAC3Nz")
    assert bastion.private_key.get_secret_value() == KEY
    assert "swordfish" not in repr(bastion)


def test_no_message_about_a_bastion_shows_its_private_key() -> None:
    found = problems(**AWS, bastion={"privateKey": KEY, "hostKey": "nonsense", "port": 0, "name": "b"})
    assert len(found) == 5
    assert "swordfish" not in "".join(found)
    assert any("backup-storage:bastion.user is missing" in text for text in found)
    assert any("the settings of a bastion are host, hostKey, port, privateKey, user." in text for text in found)
    found = problems(**AWS, bastion=BASTION | {"privateKey": "swordfish"})
    assert "swordfish" not in "".join(found)


def test_an_empty_bastion_is_none() -> None:
    assert load({**AWS, "bastion": {}}).bastion is None
