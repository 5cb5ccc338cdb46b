"""One node's instance and its data volume."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components.platforms.aws.network import Slot
from plan.settings import Settings

#: Room for Debian, logs and restic's cache.
ROOT_SIZE_GB = 16

#: What EC2 calls the place; on Nitro the disk shows by the volume's id instead (``device``).
_ATTACHED_AS = "/dev/sdf"


@dataclass(frozen=True)
class Made:
    """An instance with its volume attached: ``ready`` comes to be when it is."""

    instance: aws.ec2.Instance
    volume: aws.ebs.Volume
    ready: aws.ec2.VolumeAttachment


def make(
    name: str,
    settings: Settings,
    slot: Slot,
    address: str,
    *,
    image: str,
    key: aws.ec2.KeyPair,
    group: aws.ec2.SecurityGroup,
    user_data: pulumi.Input[str],
    labels: dict[str, str],
    opts: pulumi.ResourceOptions,
) -> Made:
    """Registers an instance, and a volume that outlives it."""
    named = {**labels, "Name": f"{settings.display_name} {name}"}
    labels = {**named, "node": name}
    kept = pulumi.ResourceOptions(protect=settings.protect, retain_on_delete=settings.protect)
    volume = aws.ebs.Volume(
        f"{name}-data",
        availability_zone=slot.zone,
        size=settings.size_gb,
        type="gp3",
        encrypted=True,
        tags=labels,
        opts=pulumi.ResourceOptions.merge(opts, kept),
    )
    instance = aws.ec2.Instance(
        name,
        ami=image,
        instance_type=settings.instance_type,
        subnet_id=slot.subnet,
        private_ip=address,
        # The user's own subnets say themselves whether their machines are public.
        associate_public_ip_address=True if slot.cut else None,
        vpc_security_group_ids=[group.id],
        key_name=key.key_name,
        user_data=user_data,
        # Against everybody but this stack: an instance is replaceable, and its data is on the volume.
        disable_api_termination=settings.protect,
        force_destroy=True,
        metadata_options=aws.ec2.InstanceMetadataOptionsArgs(
            http_endpoint="enabled", http_tokens="required", http_put_response_hop_limit=1
        ),
        root_block_device=aws.ec2.InstanceRootBlockDeviceArgs(
            volume_type="gp3", volume_size=ROOT_SIZE_GB, encrypted=True, tags=named
        ),
        tags=labels,
        opts=pulumi.ResourceOptions.merge(
            opts,
            pulumi.ResourceOptions(
                # Both are for the first boot: a later image or package list must not stop or replace a running node.
                ignore_changes=["ami", "userData"],
                # The successor takes over the address and the volume.
                delete_before_replace=True,
                additional_secret_outputs=["userData", "userDataBase64"],
            ),
        ),
    )
    attachment = aws.ec2.VolumeAttachment(
        f"{name}-attachment",
        device_name=_ATTACHED_AS,
        instance_id=instance.id,
        volume_id=volume.id,
        # A volume that is in use is not pulled out: the instance is shut down first.
        stop_instance_before_detaching=True,
        opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(delete_before_replace=True)),
    )
    return Made(instance, volume, attachment)


def device(volume_id: str) -> str:
    """The data disk in the instance.

    A Nitro instance shows a volume as an NVMe disk whose serial number is the volume's id without its dash
    (https://docs.aws.amazon.com/ebs/latest/userguide/nvme-ebs-volumes.html), and udev's rule for persistent names
    makes this link of model and serial number.
    """
    return f"/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_{volume_id.replace('-', '')}"
