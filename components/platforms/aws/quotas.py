"""An account's quotas in a region and how much of them is in use.

Codes: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-on-demand-instances.html#ec2-on-demand-instances-limits
and `aws service-quotas list-service-quotas`.
"""

from __future__ import annotations

import re
from typing import Any

from plan.aws.facts import Quota

#: By the letters that an instance type's name begins with.
_VCPUS = {
    "a c d h i m r t z": ("L-1216C47A", "Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances"),
    "f": ("L-74FC7D96", "Running On-Demand F instances"),
    "g gr vt": ("L-DB2E81BA", "Running On-Demand G and VT instances"),
    "inf": ("L-1945791B", "Running On-Demand Inf instances"),
    "p": ("L-417A185B", "Running On-Demand P instances"),
    "x": ("L-7295265B", "Running On-Demand X instances"),
}
_GP3 = ("L-7A658B76", "Storage for General Purpose SSD (gp3) volumes")
_NETWORKS = ("L-F678F1CE", "VPCs per Region")

_GIB_PER_TIB = 1024

#: EC2 takes at most this many names in one question about instance types.
_NAMES_AT_ONCE = 100


def vcpus(ec2: Any, quotas: Any, wanted: str) -> Quota | None:
    """The quota on the processors of running instances of the wanted type's kind; None for a kind that is not known."""
    kind = _kind(wanted)
    if kind is None:
        return None
    code, name = _VCPUS[kind]
    allowed = _allowed(quotas, "ec2", code)
    running = [{"Name": "instance-state-name", "Values": ["pending", "running"]}]
    pages = ec2.get_paginator("describe_instances").paginate(Filters=running)
    instances = [each for page in pages for reservation in page["Reservations"] for each in reservation["Instances"]]
    types = [each["InstanceType"] for each in instances if _kind(each["InstanceType"]) == kind]
    size = _sizes(ec2, sorted(set(types)))
    return Quota(name, code, "vCPUs", allowed, sum(size[each] for each in types))


def gp3_storage(ec2: Any, quotas: Any) -> Quota:
    """The quota on the size of all gp3 volumes, in GiB (AWS counts it in TiB)."""
    code, name = _GP3
    allowed = _allowed(quotas, "ebs", code) * _GIB_PER_TIB
    pages = ec2.get_paginator("describe_volumes").paginate(Filters=[{"Name": "volume-type", "Values": ["gp3"]}])
    return Quota(name, code, "GiB", allowed, sum(volume["Size"] for page in pages for volume in page["Volumes"]))


def networks(ec2: Any, quotas: Any) -> Quota:
    """The quota on networks."""
    code, name = _NETWORKS
    allowed = _allowed(quotas, "vpc", code)
    pages = ec2.get_paginator("describe_vpcs").paginate()
    return Quota(name, code, "VPCs", allowed, sum(len(page["Vpcs"]) for page in pages))


def _allowed(quotas: Any, service: str, code: str) -> float:
    return float(quotas.get_service_quota(ServiceCode=service, QuotaCode=code)["Quota"]["Value"])


def _kind(instance_type: str) -> str | None:
    letters = re.match(r"[a-z]+", instance_type)
    family = letters[0] if letters else ""
    exact = next((kind for kind in _VCPUS if family in kind.split()), None)
    return exact or next((kind for kind in _VCPUS if len(family) > 1 and family[0] in kind.split()), None)


def _sizes(ec2: Any, types: list[str]) -> dict[str, int]:
    """The processors of each type."""
    found: dict[str, int] = {}
    for start in range(0, len(types), _NAMES_AT_ONCE):
        answer = ec2.describe_instance_types(InstanceTypes=types[start : start + _NAMES_AT_ONCE])
        found |= {each["InstanceType"]: each["VCpuInfo"]["DefaultVCpus"] for each in answer["InstanceTypes"]}
    return found
