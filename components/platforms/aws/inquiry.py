"""Asks a region for the facts that the preflight's rules need; looks only, and names every permission that it lacks."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from difflib import get_close_matches
from typing import Any, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from components.platforms.aws import quotas
from components.platforms.aws.account import Account, error_code, is_denied
from plan.aws.facts import Facts, InstanceType, Quota, Subnet, Volume
from plan.settings import Settings

Answer = TypeVar("Answer")

#: Debian's account on AWS (https://wiki.debian.org/Cloud/AmazonEC2Image): nobody else's image is taken.
DEBIAN = "136693071363"

_DEBIAN_NAMES = {"x86_64": "debian-13-amd64-*", "arm64": "debian-13-arm64-*"}

_OFFERED_TYPES_SHOWN = 5


class Inquiry:
    """Questions about one region, asked side by side. Answers that cannot be had are noted and left out."""

    def __init__(self, account: Account, settings: Settings, labels: dict[str, str]) -> None:
        self._account, self._settings = account, settings
        self._own = [{"Name": f"tag:{key}", "Values": [labels[key]]} for key in ("project", "stack")]
        self._ec2 = account.client("ec2")
        self._quotas = account.client("service-quotas")
        self.denied: set[str] = set()
        self.unreadable: set[str] = set()

    def facts(self) -> Facts:
        """Everything that the rules want to know."""
        with ThreadPoolExecutor(max_workers=8) as pool:
            kind = pool.submit(self._instance_type)
            zones = pool.submit(self._asked, "ec2:DescribeAvailabilityZones", self._zones)
            subnets = pool.submit(self._asked, "ec2:DescribeSubnets", self._subnets)
            nodes = pool.submit(self._asked, "ec2:DescribeInstances", self._nodes)
            volumes = pool.submit(self._asked, "ec2:DescribeVolumes", self._volumes)
            networks = pool.submit(self._asked, "ec2:DescribeVpcs", self._has_network)
            owners = pool.submit(self._asked, "ec2:DescribeNetworkInterfaces", self._owners)
            found = kind.result()
            name = _DEBIAN_NAMES.get(found.architecture) if found else None
            image = pool.submit(self._asked, "ec2:DescribeImages", lambda: self._image(name) if name else None)
            vcpus = pool.submit(
                self._quota, lambda: quotas.vcpus(self._ec2, self._quotas, self._settings.instance_type)
            )
            storage = pool.submit(self._quota, lambda: quotas.gp3_storage(self._ec2, self._quotas))
            limit = pool.submit(self._quota, lambda: quotas.networks(self._ec2, self._quotas))
            similar = None if found else pool.submit(self._asked, "ec2:DescribeInstanceTypeOfferings", self._similar)
            return Facts(
                region=self._account.region,
                zones=zones.result(),
                instance_type=found,
                similar_types=similar.result() if similar else None,
                image=image.result(),
                image_sought=name if "ec2:DescribeImages" not in self.denied else None,
                subnets=subnets.result(),
                owners=owners.result() or {},
                volumes=volumes.result() or {},
                nodes=nodes.result() or {},
                has_network=bool(networks.result()),
                vcpus=vcpus.result(),
                storage=storage.result(),
                networks=limit.result() if not self._settings.subnets else None,
                denied=tuple(sorted(self.denied)),
                unreadable=tuple(sorted(self.unreadable)),
            )

    def _asked(self, action: str, question: Callable[[], Answer]) -> Answer | None:
        try:
            return question()
        except ClientError as error:
            if is_denied(error):
                self.denied.add(action)
            else:
                self.unreadable.add(f"{action} ({error_code(error)})")
        except BotoCoreError as error:
            self.unreadable.add(f"{action} ({error})")
        return None

    def _quota(self, question: Callable[[], Quota | None]) -> Quota | None:
        return self._asked("servicequotas:GetServiceQuota", question)

    def _pages(self, operation: str, list_name: str, **arguments: Any) -> list[dict[str, Any]]:
        pages = self._ec2.get_paginator(operation).paginate(**arguments)
        return [item for page in pages for item in page[list_name]]

    def _instance_type(self) -> InstanceType | None:
        wanted = self._settings.instance_type
        offered = self._asked("ec2:DescribeInstanceTypeOfferings", lambda: self._offering_zones(wanted))
        if not offered:
            return None
        types = self._asked(
            "ec2:DescribeInstanceTypes",
            lambda: self._ec2.describe_instance_types(InstanceTypes=[wanted])["InstanceTypes"],
        )
        if not types:
            return None
        return InstanceType(
            name=wanted,
            vcpus=types[0]["VCpuInfo"]["DefaultVCpus"],
            memory_mb=types[0]["MemoryInfo"]["SizeInMiB"],
            architecture=next(a for a in types[0]["ProcessorInfo"]["SupportedArchitectures"] if a != "i386"),
            nitro=types[0].get("Hypervisor") == "nitro" or types[0].get("BareMetal") is True,
            zones=tuple(offered),
        )

    def _offering_zones(self, wanted: str) -> list[str]:
        filters = [{"Name": "instance-type", "Values": [wanted]}]
        found = self._pages(
            "describe_instance_type_offerings",
            "InstanceTypeOfferings",
            LocationType="availability-zone",
            Filters=filters,
        )
        return sorted(item["Location"] for item in found)

    def _similar(self) -> tuple[str, ...]:
        found = self._pages("describe_instance_type_offerings", "InstanceTypeOfferings", LocationType="region")
        names = sorted({item["InstanceType"] for item in found})
        return tuple(get_close_matches(self._settings.instance_type, names, n=_OFFERED_TYPES_SHOWN, cutoff=0.5))

    def _zones(self) -> tuple[str, ...]:
        """The ordinary zones; local and wavelength zones, which have to be opted into, are none."""
        found = self._ec2.describe_availability_zones(Filters=[{"Name": "state", "Values": ["available"]}])
        zones = found["AvailabilityZones"]
        usual = [zone for zone in zones if zone.get("ZoneType", "availability-zone") == "availability-zone"]
        return tuple(sorted(zone["ZoneName"] for zone in usual))

    def _image(self, name: str) -> str | None:
        """The newest Debian image of that name."""
        filters = [{"Name": "name", "Values": [name]}, {"Name": "state", "Values": ["available"]}]
        found = self._pages("describe_images", "Images", Owners=[DEBIAN], Filters=filters)
        newest = max(found, key=lambda each: each["CreationDate"], default=None)
        return str(newest["ImageId"]) if newest else None

    def _subnets(self) -> dict[str, Subnet] | None:
        if not self._settings.subnets:
            return None
        # By filter, not by id: one that is missing must not hide the others.
        filters = [{"Name": "subnet-id", "Values": list(self._settings.subnets)}]
        found = self._pages("describe_subnets", "Subnets", Filters=filters)
        return {
            item["SubnetId"]: Subnet(item["SubnetId"], item["VpcId"], item["AvailabilityZone"], item["CidrBlock"])
            for item in found
        }

    def _nodes(self) -> dict[str, str]:
        """The image of each node that runs already."""
        alive = {"Name": "instance-state-name", "Values": ["pending", "running", "stopping", "stopped"]}
        found = self._pages("describe_instances", "Reservations", Filters=[*self._own, alive])
        instances = [instance for reservation in found for instance in reservation["Instances"]]
        return {tag(instance, "node"): instance["ImageId"] for instance in instances}

    def _volumes(self) -> dict[str, Volume]:
        """The stack's data volumes. Root disks carry the stack's tags too, but no node's name."""
        found = self._pages("describe_volumes", "Volumes", Filters=self._own)
        data = [volume for volume in found if tag(volume, "node")]
        return {tag(volume, "node"): Volume(volume["AvailabilityZone"], volume["Size"]) for volume in data}

    def _has_network(self) -> bool:
        return bool(self._pages("describe_vpcs", "Vpcs", Filters=self._own))

    def _owners(self) -> dict[str, str]:
        """Who has the wanted addresses, the stack's own nodes left out."""
        if not self._settings.subnets:
            return {}
        filters = [
            {"Name": "subnet-id", "Values": list(self._settings.subnets)},
            {"Name": "addresses.private-ip-address", "Values": list(self._settings.private_addresses)},
        ]
        cards = self._pages("describe_network_interfaces", "NetworkInterfaces", Filters=filters)
        own = {
            instance["InstanceId"]
            for reservation in self._pages("describe_instances", "Reservations", Filters=self._own)
            for instance in reservation["Instances"]
        }
        return {
            card["PrivateIpAddress"]: str(card.get("Attachment", {}).get("InstanceId") or card["NetworkInterfaceId"])
            for card in cards
            if card.get("Attachment", {}).get("InstanceId") not in own
        }


def tag(resource: dict[str, Any], key: str) -> str:
    """A resource's tag, empty where it has none of that key."""
    return next((str(each["Value"]) for each in resource.get("Tags", []) if each["Key"] == key), "")
