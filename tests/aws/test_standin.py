"""The resources of EC2 that this project makes, one by one, with the real engine.

The tests state what the `aws` plugin does, and run against whichever plugin is there: the real one, or the stand-in.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pulumi_aws as aws
import pytest

from engine.standins.aws.plugin import TYPES
from engine.standins.aws.region import Region
from engine.standins.resource import ProviderError
from tests.aws.cloud import HOME, IMAGE, Cloud, running
from tests.engine.stack import Stack

pytestmark = [pytest.mark.engine, pytest.mark.aws]

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAhnmzqVSzDpkHUuCoyWaSyI+4nnxCGaZDzYVWWc5yrO"

PROGRAM = """
    import pulumi_aws as aws
    where = aws.Provider("where", region=settings.get("region", "eu-central-1"))
    here = ResourceOptions(provider=where)
    tags = settings.get("tags", {"stack": "test"})
    network = aws.ec2.Vpc("network", cidr_block="10.9.0.0/24", enable_dns_hostnames=settings.get("names", True),
                          tags=tags, opts=here)
    gateway = aws.ec2.InternetGateway("gateway", vpc_id=network.id, tags=tags, opts=here)
    aws.ec2.Route("outward", route_table_id=network.main_route_table_id, destination_cidr_block="0.0.0.0/0",
                  gateway_id=gateway.id, opts=here)
    subnet = aws.ec2.Subnet("subnet", vpc_id=network.id, cidr_block="10.9.0.0/26",
                            availability_zone="eu-central-1a", tags=tags, opts=here)
    group = aws.ec2.SecurityGroup("group", name_prefix="nodes-", description="d", vpc_id=network.id, tags=tags,
                                  opts=here)
    aws.vpc.SecurityGroupIngressRule("in", security_group_id=group.id, ip_protocol="tcp", from_port=22, to_port=22,
                                     cidr_ipv4=settings.get("admin", "198.51.100.7/32"), description="SSH", opts=here)
    aws.vpc.SecurityGroupEgressRule("out", security_group_id=group.id, ip_protocol="-1",
                                    referenced_security_group_id=group.id, opts=here)
    key = aws.ec2.KeyPair("key", key_name_prefix="login-", public_key=settings["key"], tags=tags, opts=here)
    volume = aws.ebs.Volume("volume", availability_zone=subnet.availability_zone, size=settings.get("size", 10),
                            type="gp3", encrypted=True, tags=tags,
                            opts=ResourceOptions(provider=where, protect=settings.get("protect", False)))
    machine = aws.ec2.Instance(
        "machine", ami=settings["image"], instance_type=settings.get("type", "t3.small"), subnet_id=subnet.id,
        private_ip="10.9.0.11", associate_public_ip_address=True, vpc_security_group_ids=[group.id],
        key_name=key.key_name, user_data=pulumi.Output.secret("#cloud-config swordfish"),
        disable_api_termination=settings.get("closed", True), force_destroy=settings.get("force", True),
        metadata_options={"http_endpoint": "enabled", "http_tokens": "required", "http_put_response_hop_limit": 1},
        root_block_device={"volume_type": "gp3", "volume_size": 16, "encrypted": True, "tags": tags}, tags=tags,
        opts=ResourceOptions(provider=where, ignore_changes=settings.get("ignore", []), delete_before_replace=True))
    aws.ec2.VolumeAttachment("attachment", device_name="/dev/sdf", instance_id=machine.id, volume_id=volume.id,
                             stop_instance_before_detaching=True,
                             opts=ResourceOptions(provider=where, delete_before_replace=True))
    pulumi.export("machine", {"id": machine.id, "public": machine.public_ip, "private": machine.private_ip})
"""

MakeCloudStack = Callable[[], Stack]


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with running(tmp_path_factory.mktemp("cloud")) as cloud:
        yield cloud


@pytest.fixture(scope="module")
def stack(cloud: Cloud, engine_environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Stack:
    """A stack with one of everything."""
    made = Stack(tmp_path_factory.mktemp("a stack"), engine_environment | cloud.environment)
    made.program(PROGRAM)
    made.settings(key=KEY, image=IMAGE)
    assert {step["op"] for step in made.planned().values()} == {"create"}
    assert cloud.log() == []
    made.up()
    return made


def changed(stack: Stack, **settings: Any) -> dict[str, dict[str, Any]]:
    """What a preview with these settings would do."""
    stack.settings(**{"key": KEY, "image": IMAGE, **settings})
    return stack.planned()


def operations(planned: dict[str, dict[str, Any]]) -> dict[str, str]:
    return {name: step["op"] for name, step in planned.items()}


def test_a_preview_of_nothing_new_calls_for_nothing(stack: Stack, cloud: Cloud) -> None:
    cloud.forget()
    assert changed(stack) == {}
    assert cloud.log() == []


def test_the_machine_is_as_it_was_asked_for(stack: Stack, cloud: Cloud) -> None:
    (machine,) = cloud.instances()
    outputs = stack.outputs()["machine"]
    assert outputs == {"id": machine["InstanceId"], "public": machine["PublicIpAddress"], "private": "10.9.0.11"}
    assert machine["MetadataOptions"]["HttpTokens"] == "required"
    assert machine["MetadataOptions"]["HttpPutResponseHopLimit"] == 1
    assert cloud.user_data(machine["InstanceId"]) == "#cloud-config swordfish"
    root = cloud.ec2().describe_volumes(VolumeIds=[machine["BlockDeviceMappings"][0]["Ebs"]["VolumeId"]])["Volumes"][0]
    assert (root["Encrypted"], root["Size"], root["Tags"]) == (True, 16, [{"Key": "stack", "Value": "test"}])


def test_user_data_that_was_secret_is_encrypted_in_the_state(stack: Stack) -> None:
    state = stack.resources()
    assert "swordfish" not in json.dumps(state)
    assert "ciphertext" in state["machine"]["outputs"]["userData"]


def test_a_security_group_has_just_the_rules_that_are_resources(stack: Stack, cloud: Cloud) -> None:
    group = stack.resources()["group"]["id"]
    filters = [{"Name": "group-id", "Values": [group]}]
    rules = cloud.ec2().describe_security_group_rules(Filters=filters)["SecurityGroupRules"]
    assert {(rule["IsEgress"], rule["IpProtocol"], rule.get("CidrIpv4")) for rule in rules} == {
        (False, "tcp", "198.51.100.7/32"),
        (True, "-1", None),
    }


def test_a_refresh_finds_nothing_that_differs(stack: Stack) -> None:
    said = stack.pulumi("refresh", "--yes", "--skip-preview", "--expect-no-changes").text
    assert "unchanged" in said
    assert changed(stack) == {}


def test_a_refresh_shows_what_somebody_else_has_changed(stack: Stack, cloud: Cloud) -> None:
    (machine,) = cloud.instances()
    cloud.ec2().create_tags(Resources=[machine["InstanceId"]], Tags=[{"Key": "stack", "Value": "stolen"}])
    stack.refresh()
    planned = changed(stack)
    assert {name: list(step["paths"]) for name, step in planned.items()} == {"machine": ["tags.stack"]}
    stack.up()
    (machine,) = cloud.instances()
    assert {"Key": "stack", "Value": "test"} in machine["Tags"]


def test_a_volume_grows_in_place_and_online(stack: Stack, cloud: Cloud) -> None:
    before = stack.outputs()
    assert operations(changed(stack, size=20)) == {"volume": "update"}
    cloud.forget()
    stack.up()
    assert [asked.action for asked in cloud.log() if not asked.action.startswith("Describe")] == ["ModifyVolume"]
    assert stack.outputs() == before
    assert cloud.ec2().describe_volumes(VolumeIds=[stack.resources()["volume"]["id"]])["Volumes"][0]["Size"] == 20


def test_a_volume_never_shrinks(stack: Stack, cloud: Cloud) -> None:
    changed(stack, size=15)
    failed = stack.up(check=False)
    assert failed.status != 0
    assert "New size cannot be smaller than existing size" in failed.text
    changed(stack, size=20)
    stack.up()


def test_another_type_of_machine_stops_and_starts_the_same_one(stack: Stack, cloud: Cloud) -> None:
    identifier = stack.outputs()["machine"]["id"]
    assert operations(changed(stack, size=20, type="t3.medium")) == {"machine": "update"}
    cloud.forget()
    stack.up()
    actions = [asked.action for asked in cloud.log() if not asked.action.startswith("Describe")]
    assert actions == ["StopInstances", "ModifyInstanceAttribute", "StartInstances"]
    (machine,) = cloud.instances()
    assert (machine["InstanceId"], machine["InstanceType"], machine["State"]["Name"]) == (
        identifier, "t3.medium", "running",
    )  # fmt: skip


def test_labels_and_rules_change_in_place(stack: Stack, cloud: Cloud) -> None:
    planned = changed(stack, size=20, type="t3.medium", tags={"team": "a"}, admin="203.0.113.0/24", names=False)
    assert set(operations(planned).values()) == {"update"}
    stack.up()
    (machine,) = cloud.instances()
    assert machine["Tags"] == [{"Key": "team", "Value": "a"}]
    assert stack.pulumi("refresh", "--yes", "--skip-preview", "--expect-no-changes").status == 0
    changed(stack, size=20, type="t3.medium")
    stack.up()


def test_a_later_image_replaces_only_where_it_is_not_ignored(stack: Stack) -> None:
    base = {"size": 20, "type": "t3.medium", "image": "ami-0later"}
    assert operations(changed(stack, **base, ignore=["ami"])) == {}
    planned = changed(stack, **base)
    assert operations(planned)["machine"] == "replace"
    assert planned["machine"]["replaceReasons"] == ["ami"]


def test_a_replaced_machine_gets_the_same_volume_and_address(stack: Stack, cloud: Cloud) -> None:
    changed(stack, size=20, type="t3.medium")
    before, volume = stack.outputs()["machine"], stack.resources()["volume"]["id"]
    stack.up("--target-replace", stack.resources()["machine"]["urn"], "--target-dependents")
    after = stack.outputs()["machine"]
    assert after["id"] != before["id"]
    assert after["private"] == before["private"]
    assert stack.resources()["volume"]["id"] == volume
    (held,) = cloud.ec2().describe_volumes(VolumeIds=[volume])["Volumes"]
    assert [each["InstanceId"] for each in held["Attachments"]] == [after["id"]]


def test_a_machine_that_is_closed_goes_only_by_force(stack: Stack, cloud: Cloud) -> None:
    changed(stack, size=20, type="t3.medium", force=False)
    stack.up()
    machine = stack.resources()["machine"]["urn"]
    failed = stack.up("--target-replace", machine, "--target-dependents", check=False)
    assert failed.status != 0
    assert "Modify its 'disableApiTermination' instance attribute and try again" in failed.text
    assert len(cloud.instances()) == 1
    changed(stack, size=20, type="t3.medium")
    stack.up()


def test_a_machine_that_is_gone_is_made_anew(stack: Stack, cloud: Cloud) -> None:
    lost = stack.outputs()["machine"]["id"]
    cloud.ec2().modify_instance_attribute(InstanceId=lost, DisableApiTermination={"Value": False})
    cloud.ec2().terminate_instances(InstanceIds=[lost])
    stack.refresh()
    planned = operations(changed(stack, size=20, type="t3.medium"))
    assert planned["machine"] == "create"
    assert "volume" not in planned
    stack.up()
    assert stack.outputs()["machine"]["id"] != lost


def test_every_call_went_to_the_providers_region(cloud: Cloud, stack: Stack) -> None:
    assert {asked.region for asked in cloud.log()} == {HOME}


def test_what_is_protected_survives_a_destroy_and_the_rest_goes(stack: Stack, cloud: Cloud) -> None:
    changed(stack, size=20, type="t3.medium", protect=True)
    stack.up()
    volume = stack.resources()["volume"]["id"]
    # With its preview, which is what refuses before anything is touched.
    refused = stack.pulumi("destroy", "--yes", check=False)
    assert refused.status != 0
    assert "protected" in refused.text
    assert len(cloud.instances()) == 1
    stack.pulumi("destroy", "--yes", "--skip-preview", "--exclude-protected")
    assert cloud.instances() == []
    assert cloud.ec2().describe_volumes(VolumeIds=[volume])["Volumes"][0]["State"] == "available"
    stack.pulumi("state", "unprotect", "--all", "--yes")
    stack.destroy()
    assert cloud.ec2().describe_key_pairs()["KeyPairs"] == []
    assert all(network["IsDefault"] for network in cloud.ec2().describe_vpcs()["Vpcs"])


def test_a_missing_input_is_named(cloud: Cloud, engine_environment: dict[str, str], tmp_path: Any) -> None:
    failing = Stack(tmp_path, engine_environment | cloud.environment)
    failing.program("""
        import pulumi_aws as aws
        where = aws.Provider("where", region="eu-central-1")
        made = pulumi.CustomResource("aws:ebs/volume:Volume", "v", {"size": 5}, opts=ResourceOptions(provider=where))
    """)
    failed = failing.pulumi("preview", check=False)
    assert failed.status != 0
    assert "Missing required argument" in failed.text


def test_the_stand_in_never_turns_to_amazon(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_EC2"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ProviderError, match="works on a local server that AWS_ENDPOINT_URL names, never on Amazon's"):
        Region().configure({"region": HOME})


def test_the_endpoint_of_the_providers_configuration_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    region = Region()
    region.configure({"region": HOME, "endpoints": '[{"ec2": "http://127.0.0.1:2"}]'})
    assert region.ec2.meta.endpoint_url == "http://127.0.0.1:2"


@pytest.mark.parametrize("token", sorted(TYPES))
def test_every_property_is_one_of_the_real_plugins(token: str) -> None:
    """By the package that is generated from the real plugin's schema."""
    module, name = re.fullmatch(r"aws:(\w+)/\w+:(\w+)", token).groups()  # type: ignore[union-attr]
    resource = getattr(getattr(aws, module), name)
    source = inspect.getsource(resource._internal_init)
    properties = {_camel(found) for found in re.findall(r'__dict__\["(\w+)"\]', source)}
    required = {_camel(found) for found in re.findall(r"Missing required property '(\w+)'", source)}
    kind = TYPES[token]
    assert set(kind.required) == required
    assert {path.partition(".")[0] for path in kind.replacing} <= properties
    assert {*kind.defaults, *kind.computed} <= properties


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(part.capitalize() for part in others)
