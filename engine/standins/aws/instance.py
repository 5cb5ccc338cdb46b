"""`ec2.Instance`."""

from __future__ import annotations

from typing import Any, ClassVar

from engine.standins.aws.base import Ec2Resource, Facts, retag, tag_list, tags_of
from engine.standins.values import Properties

_METADATA = {
    "httpEndpoint": "HttpEndpoint",
    "httpTokens": "HttpTokens",
    "httpPutResponseHopLimit": "HttpPutResponseHopLimit",
    "instanceMetadataTags": "InstanceMetadataTags",
}
_ROOT = {"volumeSize": "VolumeSize", "volumeType": "VolumeType", "encrypted": "Encrypted", "iops": "Iops"}


class Instance(Ec2Resource):
    """A machine."""

    noun = "EC2 Instance"
    defaults: ClassVar[Properties] = {"forceDestroy": False, "sourceDestCheck": True, "userDataReplaceOnChange": False}
    computed = (
        "arn",
        "availabilityZone",
        "instanceState",
        "primaryNetworkInterfaceId",
        "privateDns",
        "privateIp",
        "publicDns",
        "publicIp",
    )
    replacing = frozenset(
        {
            "ami",
            "associatePublicIpAddress",
            "availabilityZone",
            "keyName",
            "privateIp",
            "region",
            "rootBlockDevice.encrypted",
            "subnetId",
        }
    )

    def replaces(self, path: str, inputs: Facts) -> bool:
        """User-data replaces only where that was asked for."""
        if path in ("userData", "userDataBase64"):
            return bool(inputs.get("userDataReplaceOnChange"))
        return super().replaces(path, inputs)

    def make(self, inputs: Facts) -> str:
        """Start it and wait until it runs; its root disk is labelled afterwards."""
        arguments = {
            "ImageId": inputs["ami"],
            "InstanceType": inputs["instanceType"],
            "DisableApiTermination": bool(inputs.get("disableApiTermination")),
            "TagSpecifications": self.tags(inputs, "instance"),
            **self._network(inputs),
        }
        if inputs.get("keyName"):
            arguments["KeyName"] = inputs["keyName"]
        if inputs.get("userData"):
            arguments["UserData"] = inputs["userData"]
        if inputs.get("metadataOptions"):
            arguments["MetadataOptions"] = _renamed(inputs["metadataOptions"], _METADATA)
        if inputs.get("rootBlockDevice"):
            arguments["BlockDeviceMappings"] = [
                {"DeviceName": self._root_name(inputs["ami"]), "Ebs": _renamed(inputs["rootBlockDevice"], _ROOT)}
            ]
        made = str(self.ec2.run_instances(MinCount=1, MaxCount=1, **arguments)["Instances"][0]["InstanceId"])
        self.ec2.get_waiter("instance_running").wait(InstanceIds=[made], WaiterConfig={"Delay": 1})
        if inputs.get("disableApiTermination"):
            # Asked for above already, which local servers pass over.
            self._modify(made, DisableApiTermination={"Value": True})
        labels = inputs.get("rootBlockDevice", {}).get("tags")
        if labels:
            self.ec2.create_tags(Resources=[self._root_disk(self._found(made))], Tags=tag_list(labels))
        return made

    def look(self, identifier: str, known: Facts) -> Facts | None:
        """The machine; one that was terminated is gone, though EC2 shows it for an hour."""
        found = self._found(identifier)
        if found["State"]["Name"] in ("terminated", "shutting-down"):
            return None
        card: Facts = next(iter(found.get("NetworkInterfaces") or []), {})
        return {
            "ami": found["ImageId"],
            "arn": f"arn:aws:ec2:{self.region.name}:{card.get('OwnerId', '')}:instance/{identifier}",
            "associatePublicIpAddress": bool(found.get("PublicIpAddress")),
            "availabilityZone": found["Placement"]["AvailabilityZone"],
            "disableApiTermination": self._protected(identifier),
            "instanceState": found["State"]["Name"],
            "instanceType": found["InstanceType"],
            "keyName": found.get("KeyName", ""),
            "metadataOptions": {name: found.get("MetadataOptions", {}).get(key) for name, key in _METADATA.items()},
            "primaryNetworkInterfaceId": card.get("NetworkInterfaceId", ""),
            "privateDns": found.get("PrivateDnsName", ""),
            "privateIp": found.get("PrivateIpAddress", ""),
            "publicDns": found.get("PublicDnsName", ""),
            "publicIp": found.get("PublicIpAddress", ""),
            "rootBlockDevice": self._root(found),
            "subnetId": found.get("SubnetId", ""),
            "tags": tags_of(found),
            "vpcSecurityGroupIds": [
                group["GroupId"] for group in card.get("Groups") or found.get("SecurityGroups") or []
            ],
        }

    def change(self, identifier: str, old: Facts, new: Facts) -> None:
        """What changes in a running machine, then what needs it stopped."""
        if old.get("disableApiTermination") != new.get("disableApiTermination"):
            self._modify(identifier, DisableApiTermination={"Value": bool(new.get("disableApiTermination"))})
        if sorted(old.get("vpcSecurityGroupIds") or []) != sorted(new.get("vpcSecurityGroupIds") or []):
            card = old["primaryNetworkInterfaceId"]
            self.ec2.modify_network_interface_attribute(NetworkInterfaceId=card, Groups=new["vpcSecurityGroupIds"])
        before = old.get("metadataOptions") or {}
        if any(value != before.get(name) for name, value in (new.get("metadataOptions") or {}).items()):
            self.ec2.modify_instance_metadata_options(
                InstanceId=identifier, **_renamed(new["metadataOptions"], _METADATA)
            )
        self._change_root(identifier, old.get("rootBlockDevice") or {}, new.get("rootBlockDevice") or {})
        self._change_stopped(identifier, old, new)

    def unmake(self, identifier: str, state: Facts) -> None:
        """Terminate it; EC2 refuses where it is protected, unless it was to be destroyed by force."""
        if state.get("forceDestroy") and self._protected(identifier):
            self._modify(identifier, DisableApiTermination={"Value": False})
        self.ec2.terminate_instances(InstanceIds=[identifier])
        self.ec2.get_waiter("instance_terminated").wait(InstanceIds=[identifier], WaiterConfig={"Delay": 1})

    def _network(self, inputs: Facts) -> dict[str, Any]:
        groups, address = inputs.get("vpcSecurityGroupIds") or [], inputs.get("privateIp")
        public, subnet = inputs.get("associatePublicIpAddress"), inputs.get("subnetId")
        if public is None:
            found = {"SubnetId": subnet, "SecurityGroupIds": groups, "PrivateIpAddress": address}
            return {key: value for key, value in found.items() if value}
        card = {"DeviceIndex": 0, "SubnetId": subnet, "Groups": groups, "AssociatePublicIpAddress": public}
        card["DeleteOnTermination"] = True
        return {"NetworkInterfaces": [card | ({"PrivateIpAddress": address} if address else {})]}

    def _change_root(self, identifier: str, old: Facts, new: Facts) -> None:
        names = {"volumeSize": "Size", "volumeType": "VolumeType", "iops": "Iops"}
        sizes = {name: new[key] for key, name in names.items() if key in new and new[key] != old.get(key)}
        if not sizes and (old.get("tags") or {}) == (new.get("tags") or {}):
            return
        disk = self._root_disk(self._found(identifier))
        if sizes:
            self.ec2.modify_volume(VolumeId=disk, **sizes)
        retag(self.ec2, disk, old.get("tags") or {}, new.get("tags") or {})

    def _change_stopped(self, identifier: str, old: Facts, new: Facts) -> None:
        changes = []
        if old["instanceType"] != new["instanceType"]:
            changes.append({"InstanceType": {"Value": new["instanceType"]}})
        if old.get("userData") != new.get("userData"):
            changes.append({"UserData": {"Value": new.get("userData", "").encode()}})
        if not changes:
            return
        self.ec2.stop_instances(InstanceIds=[identifier])
        self.ec2.get_waiter("instance_stopped").wait(InstanceIds=[identifier], WaiterConfig={"Delay": 1})
        for change in changes:
            self._modify(identifier, **change)
        self.ec2.start_instances(InstanceIds=[identifier])
        self.ec2.get_waiter("instance_running").wait(InstanceIds=[identifier], WaiterConfig={"Delay": 1})

    def _modify(self, identifier: str, **change: Any) -> None:
        self.ec2.modify_instance_attribute(InstanceId=identifier, **change)

    def _found(self, identifier: str) -> Facts:
        (reservation,) = self.ec2.describe_instances(InstanceIds=[identifier])["Reservations"]
        (found,) = reservation["Instances"]
        return dict(found)

    def _protected(self, identifier: str) -> bool:
        attribute = "disableApiTermination"
        found = self.ec2.describe_instance_attribute(InstanceId=identifier, Attribute=attribute)
        return bool(found["DisableApiTermination"]["Value"])

    def _root_name(self, image: str) -> str:
        (found,) = self.ec2.describe_images(ImageIds=[image])["Images"]
        return str(found["RootDeviceName"])

    def _root_disk(self, found: Facts) -> str:
        name = found["RootDeviceName"]
        disks = [each["Ebs"]["VolumeId"] for each in found["BlockDeviceMappings"] if each["DeviceName"] == name]
        return str(disks[0] if disks else found["BlockDeviceMappings"][0]["Ebs"]["VolumeId"])

    def _root(self, found: Facts) -> Facts:
        disk = self._root_disk(found)
        (volume,) = self.ec2.describe_volumes(VolumeIds=[disk])["Volumes"]
        return {
            "deviceName": found["RootDeviceName"],
            "encrypted": volume["Encrypted"],
            "iops": volume.get("Iops", 0),
            "tags": tags_of(volume),
            "volumeId": disk,
            "volumeSize": volume["Size"],
            "volumeType": volume["VolumeType"],
        }


def _renamed(given: Facts, names: dict[str, str]) -> Facts:
    return {names[key]: value for key, value in given.items() if key in names and value is not None}
