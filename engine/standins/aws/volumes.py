"""`ebs.Volume` and `ec2.VolumeAttachment`."""

from __future__ import annotations

import zlib
from typing import ClassVar

from engine.standins.aws.base import Ec2Resource, Facts, poll, tags_of
from engine.standins.resource import ProviderError
from engine.standins.values import Properties


class Volume(Ec2Resource):
    """A disk. Grows in place; cannot shrink."""

    noun = "EBS Volume"
    required = ("availabilityZone",)
    defaults: ClassVar[Properties] = {"finalSnapshot": False}
    computed = ("arn", "createTime", "iops", "kmsKeyId", "snapshotId", "throughput")
    replacing = frozenset({"availabilityZone", "encrypted", "kmsKeyId", "multiAttachEnabled", "snapshotId", "region"})

    def make(self, inputs: Facts) -> str:
        """Make it and wait until it can be attached."""
        names = {"size": "Size", "type": "VolumeType", "iops": "Iops", "throughput": "Throughput"}
        names |= {"encrypted": "Encrypted", "kmsKeyId": "KmsKeyId"}
        made = self.ec2.create_volume(
            AvailabilityZone=inputs["availabilityZone"],
            TagSpecifications=self.tags(inputs, "volume"),
            **{names[key]: value for key, value in inputs.items() if key in names},
        )["VolumeId"]
        self.ec2.get_waiter("volume_available").wait(VolumeIds=[made], WaiterConfig={"Delay": 1})
        return str(made)

    def look(self, identifier: str, known: Facts) -> Facts | None:
        """The disk."""
        (found,) = self.ec2.describe_volumes(VolumeIds=[identifier])["Volumes"]
        return {
            "arn": f"arn:aws:ec2:{self.region.name}::volume/{identifier}",
            "availabilityZone": found["AvailabilityZone"],
            "createTime": found["CreateTime"].strftime("%Y-%m-%dT%H:%M:%SZ"),
            "encrypted": found["Encrypted"],
            "iops": found.get("Iops", 0),
            "kmsKeyId": found.get("KmsKeyId", ""),
            "size": found["Size"],
            "snapshotId": found.get("SnapshotId", ""),
            "throughput": found.get("Throughput", 0),
            "type": found["VolumeType"],
            "tags": tags_of(found),
        }

    def change(self, identifier: str, old: Facts, new: Facts) -> None:
        """Size, kind and speed, online. EC2 refuses a smaller size; its local servers do not, so it is done here."""
        names = {"size": "Size", "type": "VolumeType", "iops": "Iops", "throughput": "Throughput"}
        changed = {names[key]: new[key] for key in names if key in new and new[key] != old.get(key)}
        if not changed:
            return
        if changed.get("Size", old["size"]) < old["size"]:
            raise ProviderError(
                f"modifying EBS Volume ({identifier}): operation error EC2: ModifyVolume, api error "
                f"InvalidParameterValue: New size cannot be smaller than existing size"
            )
        self.ec2.modify_volume(VolumeId=identifier, **changed)
        poll(lambda: self._modified(identifier), f"waiting for EBS Volume ({identifier}) update")

    def _modified(self, identifier: str) -> bool:
        found = self.ec2.describe_volumes_modifications(VolumeIds=[identifier])["VolumesModifications"]
        return all(each["ModificationState"] in ("optimizing", "completed") for each in found)

    def unmake(self, identifier: str, state: Facts) -> None:
        """Delete it once it is free."""
        self.once_free("VolumeInUse", lambda: self.ec2.delete_volume(VolumeId=identifier))


class VolumeAttachment(Ec2Resource):
    """A disk in a machine."""

    noun = "EBS Volume attachment"
    required = ("deviceName", "instanceId", "volumeId")
    replacing = frozenset({"deviceName", "instanceId", "volumeId", "region"})
    tagged = False

    def make(self, inputs: Facts) -> str:
        """Attach it."""
        volume, machine = inputs["volumeId"], inputs["instanceId"]
        self.ec2.attach_volume(VolumeId=volume, InstanceId=machine, Device=inputs["deviceName"])
        identifier = f"vai-{zlib.crc32('-'.join((inputs['deviceName'], machine, volume, '')).encode())}"
        poll(lambda: self.look(identifier, inputs) is not None, f"waiting for {self.noun} ({identifier})")
        return identifier

    def look(self, identifier: str, known: Facts) -> Facts | None:
        """Whether the disk is in the machine."""
        (found,) = self.ec2.describe_volumes(VolumeIds=[known["volumeId"]])["Volumes"]
        for each in found["Attachments"]:
            if each["InstanceId"] == known["instanceId"] and each["State"] in ("attached", "busy"):
                return {"deviceName": each["Device"], "instanceId": each["InstanceId"], "volumeId": known["volumeId"]}
        return None

    def unmake(self, identifier: str, state: Facts) -> None:
        """Detach it, from a machine that was shut down first where that was asked for."""
        volume, machine = state["volumeId"], state["instanceId"]
        if state.get("skipDestroy") or self.look(identifier, state) is None:
            return
        if state.get("stopInstanceBeforeDetaching"):
            self.ec2.stop_instances(InstanceIds=[machine])
            self.ec2.get_waiter("instance_stopped").wait(InstanceIds=[machine], WaiterConfig={"Delay": 1})
        self.ec2.detach_volume(
            VolumeId=volume, InstanceId=machine, Device=state["deviceName"], Force=bool(state.get("forceDetach"))
        )
        self.ec2.get_waiter("volume_available").wait(VolumeIds=[volume], WaiterConfig={"Delay": 1})
