"""`ec2.Vpc`, `ec2.Subnet`, `ec2.InternetGateway` and `ec2.Route`."""

from __future__ import annotations

import zlib
from typing import Any, ClassVar

from engine.standins.aws.base import Ec2Resource, Facts, tags_of
from engine.standins.values import Properties


class Vpc(Ec2Resource):
    """A network of one's own."""

    noun = "EC2 VPC"
    defaults: ClassVar[Properties] = {"enableDnsSupport": True, "instanceTenancy": "default"}
    computed = (
        "arn",
        "defaultNetworkAclId",
        "defaultRouteTableId",
        "defaultSecurityGroupId",
        "dhcpOptionsId",
        "mainRouteTableId",
        "ownerId",
    )
    replacing = frozenset({"cidrBlock", "region"})

    def make(self, inputs: Facts) -> str:
        """Make it and set its attributes."""
        made = self.ec2.create_vpc(
            CidrBlock=inputs["cidrBlock"],
            InstanceTenancy=inputs["instanceTenancy"],
            TagSpecifications=self.tags(inputs, "vpc"),
        )["Vpc"]["VpcId"]
        self.ec2.get_waiter("vpc_available").wait(VpcIds=[made], WaiterConfig={"Delay": 1})
        self.change(made, {"enableDnsSupport": True, "enableDnsHostnames": False}, inputs)
        return str(made)

    def look(self, identifier: str, known: Facts) -> Facts | None:
        """The network and what EC2 made with it."""
        (found,) = self.ec2.describe_vpcs(VpcIds=[identifier])["Vpcs"]
        table = self._only("describe_route_tables", "RouteTables", identifier, "association.main", "true")
        acl = self._only("describe_network_acls", "NetworkAcls", identifier, "default", "true")
        group = self._only("describe_security_groups", "SecurityGroups", identifier, "group-name", "default")
        return {
            "arn": f"arn:aws:ec2:{self.region.name}:{found['OwnerId']}:vpc/{identifier}",
            "cidrBlock": found["CidrBlock"],
            "instanceTenancy": found["InstanceTenancy"],
            "dhcpOptionsId": found["DhcpOptionsId"],
            "ownerId": found["OwnerId"],
            "mainRouteTableId": table["RouteTableId"],
            "defaultRouteTableId": table["RouteTableId"],
            "defaultNetworkAclId": acl["NetworkAclId"],
            "defaultSecurityGroupId": group["GroupId"],
            "enableDnsSupport": self._attribute(identifier, "enableDnsSupport"),
            "enableDnsHostnames": self._attribute(identifier, "enableDnsHostnames"),
            "tags": tags_of(found),
        }

    def _only(self, operation: str, key: str, network: str, name: str, value: str) -> Facts:
        filters = [{"Name": "vpc-id", "Values": [network]}, {"Name": name, "Values": [value]}]
        (found,) = getattr(self.ec2, operation)(Filters=filters)[key]
        return dict(found)

    def _attribute(self, identifier: str, name: str) -> bool:
        found = self.ec2.describe_vpc_attribute(VpcId=identifier, Attribute=name)
        return bool(found[name[0].upper() + name[1:]]["Value"])

    def change(self, identifier: str, old: Facts, new: Facts) -> None:
        """Its attributes, each a request of its own."""
        for name in ("enableDnsSupport", "enableDnsHostnames"):
            if name in new and new[name] != old.get(name):
                argument = {name[0].upper() + name[1:]: {"Value": new[name]}}
                self.ec2.modify_vpc_attribute(VpcId=identifier, **argument)

    def unmake(self, identifier: str, state: Facts) -> None:
        """Delete it."""
        self.ec2.delete_vpc(VpcId=identifier)


class Subnet(Ec2Resource):
    """A part of a network, in one zone."""

    noun = "EC2 Subnet"
    required = ("vpcId",)
    defaults: ClassVar[Properties] = {"mapPublicIpOnLaunch": False}
    computed = ("arn", "availabilityZone", "availabilityZoneId", "ownerId")
    replacing = frozenset({"availabilityZone", "availabilityZoneId", "cidrBlock", "vpcId", "region"})

    def make(self, inputs: Facts) -> str:
        """Make it."""
        zone = {"AvailabilityZone": inputs["availabilityZone"]} if inputs.get("availabilityZone") else {}
        made = self.ec2.create_subnet(
            VpcId=inputs["vpcId"],
            CidrBlock=inputs["cidrBlock"],
            TagSpecifications=self.tags(inputs, "subnet"),
            **zone,
        )["Subnet"]["SubnetId"]
        self.ec2.get_waiter("subnet_available").wait(SubnetIds=[made], WaiterConfig={"Delay": 1})
        self.change(made, self.defaults, inputs)
        return str(made)

    def look(self, identifier: str, known: Facts) -> Facts | None:
        """The subnet."""
        (found,) = self.ec2.describe_subnets(SubnetIds=[identifier])["Subnets"]
        return {
            "arn": found["SubnetArn"],
            "availabilityZone": found["AvailabilityZone"],
            "availabilityZoneId": found["AvailabilityZoneId"],
            "cidrBlock": found["CidrBlock"],
            "mapPublicIpOnLaunch": found["MapPublicIpOnLaunch"],
            "ownerId": found["OwnerId"],
            "vpcId": found["VpcId"],
            "tags": tags_of(found),
        }

    def change(self, identifier: str, old: Facts, new: Facts) -> None:
        """Whether its machines get public addresses."""
        public = new.get("mapPublicIpOnLaunch")
        if public is not None and public != old.get("mapPublicIpOnLaunch"):
            self.ec2.modify_subnet_attribute(SubnetId=identifier, MapPublicIpOnLaunch={"Value": public})

    def unmake(self, identifier: str, state: Facts) -> None:
        """Delete it."""
        self.ec2.delete_subnet(SubnetId=identifier)


class InternetGateway(Ec2Resource):
    """A network's way to the internet."""

    noun = "EC2 Internet Gateway"
    computed = ("arn", "ownerId")

    def make(self, inputs: Facts) -> str:
        """Make it and attach it."""
        made = self.ec2.create_internet_gateway(TagSpecifications=self.tags(inputs, "internet-gateway"))
        identifier = str(made["InternetGateway"]["InternetGatewayId"])
        self.change(identifier, {}, inputs)
        return identifier

    def look(self, identifier: str, known: Facts) -> Facts | None:
        """The gateway."""
        (found,) = self.ec2.describe_internet_gateways(InternetGatewayIds=[identifier])["InternetGateways"]
        attached = found.get("Attachments") or [{}]
        return {
            "arn": f"arn:aws:ec2:{self.region.name}:{found['OwnerId']}:internet-gateway/{identifier}",
            "ownerId": found["OwnerId"],
            "vpcId": attached[0].get("VpcId", ""),
            "tags": tags_of(found),
        }

    def change(self, identifier: str, old: Facts, new: Facts) -> None:
        """The network that it belongs to."""
        if old.get("vpcId") == new.get("vpcId"):
            return
        if old.get("vpcId"):
            self.ec2.detach_internet_gateway(InternetGatewayId=identifier, VpcId=old["vpcId"])
        if new.get("vpcId"):
            self.ec2.attach_internet_gateway(InternetGatewayId=identifier, VpcId=new["vpcId"])

    def unmake(self, identifier: str, state: Facts) -> None:
        """Detach and delete it."""
        self.change(identifier, state, {})
        self.ec2.delete_internet_gateway(InternetGatewayId=identifier)


class Route(Ec2Resource):
    """One way in a routing table."""

    noun = "EC2 Route"
    required = ("routeTableId",)
    computed = ("instanceId", "instanceOwnerId", "networkInterfaceId", "origin", "state")
    replacing = frozenset({"destinationCidrBlock", "routeTableId", "region"})
    tagged = False

    def make(self, inputs: Facts) -> str:
        """Make it; its id is made of table and destination."""
        self.ec2.create_route(**self._arguments(inputs))
        return f"r-{inputs['routeTableId']}{zlib.crc32(inputs['destinationCidrBlock'].encode())}"

    def look(self, identifier: str, known: Facts) -> Facts | None:
        """The way, found by its table and destination."""
        (table,) = self.ec2.describe_route_tables(RouteTableIds=[known["routeTableId"]])["RouteTables"]
        for route in table["Routes"]:
            if route.get("DestinationCidrBlock") == known["destinationCidrBlock"]:
                return {
                    "gatewayId": route.get("GatewayId", ""),
                    "origin": route.get("Origin", "CreateRoute"),
                    "state": route.get("State", "active"),
                    "instanceId": route.get("InstanceId", ""),
                    "instanceOwnerId": route.get("InstanceOwnerId", ""),
                    "networkInterfaceId": route.get("NetworkInterfaceId", ""),
                }
        return None

    def change(self, identifier: str, old: Facts, new: Facts) -> None:
        """Where it leads."""
        self.ec2.replace_route(**self._arguments(new))

    def unmake(self, identifier: str, state: Facts) -> None:
        """Delete it."""
        self.ec2.delete_route(RouteTableId=state["routeTableId"], DestinationCidrBlock=state["destinationCidrBlock"])

    def _arguments(self, inputs: Facts) -> dict[str, Any]:
        return {
            "RouteTableId": inputs["routeTableId"],
            "DestinationCidrBlock": inputs["destinationCidrBlock"],
            "GatewayId": inputs["gatewayId"],
        }
