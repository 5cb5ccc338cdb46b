"""The preflight: facts of the region, the rules over them, and what the credentials may do."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from botocore.exceptions import ClientError

from components.platforms.aws.account import Account, error_code, is_denied
from components.platforms.aws.inquiry import Inquiry
from plan.aws import preflight
from plan.aws.facts import Facts
from plan.layout import node_name
from plan.problems import SettingsError
from plan.settings import Settings

#: Answers of a dry run that ask for a permission; every other answer means that it is there.
_ALLOWED = "DryRunOperation"


def check(settings: Settings, labels: dict[str, str], *, makes: bool) -> Facts:
    """The facts of a region that can carry the storage. Raises SettingsError with every problem at once.

    ``makes``: whether something is going to be made now. A preview only looks, and may be somebody's who cannot do
    more: what they may not do is left for `unreadable` to tell.
    """
    account = Account(settings.region)
    facts = Inquiry(account, settings, labels).facts()
    forbidden = _forbidden(account.client("ec2"), settings, facts)
    if makes:
        facts = replace(facts, denied=tuple(sorted({*facts.denied, *forbidden})))
    elif forbidden:
        told = f"{', '.join(sorted(forbidden))} are not permitted to these credentials, and `pulumi up` needs them"
        facts = replace(facts, unreadable=(*facts.unreadable, told))
    found = preflight.problems(settings, facts)
    if found:
        raise SettingsError(found)
    return facts


def _forbidden(ec2: Any, settings: Settings, facts: Facts) -> list[str]:
    """The actions that EC2 would refuse, by dry runs: it says what it would answer, and does nothing.

    Asked only where a node is going to be made; not every action has a dry run that needs no existing resource.
    """
    missing = [index for index in range(1, settings.node_count + 1) if node_name(index) not in facts.nodes]
    if not missing or not facts.image or not facts.zones:
        return []
    instance = {"ImageId": facts.image, "InstanceType": settings.instance_type, "MinCount": 1, "MaxCount": 1}
    disk = {"AvailabilityZone": facts.zones[0], "Size": settings.size_gb, "VolumeType": "gp3", "Encrypted": True}
    trials: dict[str, tuple[Any, dict[str, Any]]] = {
        "ec2:RunInstances": (ec2.run_instances, instance),
        "ec2:CreateVolume": (ec2.create_volume, disk),
        "ec2:ImportKeyPair": (ec2.import_key_pair, {"KeyName": "backup-storage", "PublicKeyMaterial": b"ssh-ed25519"}),
        "ec2:CreateSecurityGroup": (
            ec2.create_security_group,
            {"GroupName": "backup-storage", "Description": "backup-storage"},
        ),
    }
    forbidden = []
    for action, (call, arguments) in trials.items():
        try:
            call(DryRun=True, **arguments)
        except ClientError as error:
            if error_code(error) != _ALLOWED and is_denied(error):
                forbidden.append(action)
    return forbidden
