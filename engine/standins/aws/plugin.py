"""The `aws` plugin's stand-in."""

from __future__ import annotations

from engine.standins.aws.access import EgressRule, IngressRule, KeyPair, SecurityGroup
from engine.standins.aws.base import Ec2Resource
from engine.standins.aws.instance import Instance
from engine.standins.aws.network import InternetGateway, Route, Subnet, Vpc
from engine.standins.aws.region import Region
from engine.standins.aws.volumes import Volume, VolumeAttachment
from engine.standins.provider import serve
from engine.standins.resource import Provider

TYPES: dict[str, type[Ec2Resource]] = {
    "aws:ebs/volume:Volume": Volume,
    "aws:ec2/instance:Instance": Instance,
    "aws:ec2/internetGateway:InternetGateway": InternetGateway,
    "aws:ec2/keyPair:KeyPair": KeyPair,
    "aws:ec2/route:Route": Route,
    "aws:ec2/securityGroup:SecurityGroup": SecurityGroup,
    "aws:ec2/subnet:Subnet": Subnet,
    "aws:ec2/volumeAttachment:VolumeAttachment": VolumeAttachment,
    "aws:ec2/vpc:Vpc": Vpc,
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": EgressRule,
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": IngressRule,
}


def main() -> None:
    """Serve until the engine ends the process."""
    region = Region()
    resources = {token: kind(region) for token, kind in TYPES.items()}
    serve(Provider(name="aws", version="7.51.1", resources=resources, configure=region.configure))
