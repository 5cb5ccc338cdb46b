"""`ec2.SecurityGroup`, its rules `vpc.SecurityGroupIngressRule` and `…EgressRule`, and `ec2.KeyPair`."""

from __future__ import annotations

from typing import Any, ClassVar

from engine.standins.aws.base import Ec2Resource, Facts, tags_of, unique
from engine.standins.values import Properties


class SecurityGroup(Ec2Resource):
    """A security group without rules: those are resources of their own."""

    noun = "Security Group"
    defaults: ClassVar[Properties] = {"description": "Managed by Pulumi", "revokeRulesOnDelete": False}
    computed = ("arn", "egress", "ingress", "name", "ownerId")
    replacing = frozenset({"description", "name", "namePrefix", "vpcId", "region"})

    def make(self, inputs: Facts) -> str:
        """Make it, and take away the rule that lets everything out, as the plugin does."""
        network = {"VpcId": inputs["vpcId"]} if inputs.get("vpcId") else {}
        made = str(
            self.ec2.create_security_group(
                GroupName=inputs.get("name") or unique(inputs.get("namePrefix") or "terraform-"),
                Description=inputs["description"],
                TagSpecifications=self.tags(inputs, "security-group"),
                **network,
            )["GroupId"]
        )
        self.ec2.revoke_security_group_egress(
            GroupId=made, IpPermissions=[{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
        )
        return made

    def look(self, identifier: str, known: Facts) -> Facts | None:
        """The group."""
        (found,) = self.ec2.describe_security_groups(GroupIds=[identifier])["SecurityGroups"]
        return {
            "arn": f"arn:aws:ec2:{self.region.name}:{found['OwnerId']}:security-group/{identifier}",
            "description": found["Description"],
            "name": found["GroupName"],
            "ownerId": found["OwnerId"],
            "vpcId": found.get("VpcId", ""),
            "egress": [],
            "ingress": [],
            "tags": tags_of(found),
        }

    def unmake(self, identifier: str, state: Facts) -> None:
        """Delete it once the network card of the last machine that used it is gone."""
        self.once_free("DependencyViolation", lambda: self.ec2.delete_security_group(GroupId=identifier))


class _Rule(Ec2Resource):
    """A rule of a security group."""

    required = ("ipProtocol", "securityGroupId")
    computed = ("arn", "securityGroupRuleId")
    replacing = frozenset({"securityGroupId", "region"})
    authorize: ClassVar[str]
    revoke: ClassVar[str]

    def make(self, inputs: Facts) -> str:
        """Make it."""
        made = getattr(self.ec2, self.authorize)(
            GroupId=inputs["securityGroupId"],
            IpPermissions=[_permission(inputs)],
            TagSpecifications=self.tags(inputs, "security-group-rule"),
        )
        return str(made["SecurityGroupRules"][0]["SecurityGroupRuleId"])

    def look(self, identifier: str, known: Facts) -> Facts | None:
        """The rule."""
        (found,) = self.ec2.describe_security_group_rules(SecurityGroupRuleIds=[identifier])["SecurityGroupRules"]
        ports = {} if found["IpProtocol"] == "-1" else {"fromPort": found["FromPort"], "toPort": found["ToPort"]}
        other = found.get("ReferencedGroupInfo", {}).get("GroupId")
        return {
            "arn": f"arn:aws:ec2:{self.region.name}:{found.get('GroupOwnerId', '')}:security-group-rule/{identifier}",
            "securityGroupRuleId": identifier,
            "securityGroupId": found["GroupId"],
            "ipProtocol": found["IpProtocol"],
            **ports,
            **({"cidrIpv4": found["CidrIpv4"]} if found.get("CidrIpv4") else {}),
            **({"referencedSecurityGroupId": other} if other else {}),
            **({"description": found["Description"]} if found.get("Description") else {}),
            "tags": tags_of(found) or known.get("tags") or {},
        }

    def change(self, identifier: str, old: Facts, new: Facts) -> None:
        """Its content, in place."""
        parts = ("cidrIpv4", "description", "fromPort", "ipProtocol", "referencedSecurityGroupId", "toPort")
        if all(old.get(part) == new.get(part) for part in parts):
            return
        wanted = {
            "IpProtocol": new["ipProtocol"],
            "FromPort": new.get("fromPort", -1),
            "ToPort": new.get("toPort", -1),
            "Description": new.get("description", ""),
        }
        if new.get("cidrIpv4"):
            wanted["CidrIpv4"] = new["cidrIpv4"]
        else:
            wanted["ReferencedGroupId"] = new["referencedSecurityGroupId"]
        self.ec2.modify_security_group_rules(
            GroupId=new["securityGroupId"],
            SecurityGroupRules=[{"SecurityGroupRuleId": identifier, "SecurityGroupRule": wanted}],
        )

    def unmake(self, identifier: str, state: Facts) -> None:
        """Delete it."""
        getattr(self.ec2, self.revoke)(GroupId=state["securityGroupId"], SecurityGroupRuleIds=[identifier])


class IngressRule(_Rule):
    """What may come in."""

    noun = "VPC Security Group Ingress Rule"
    authorize, revoke = "authorize_security_group_ingress", "revoke_security_group_ingress"


class EgressRule(_Rule):
    """What may go out."""

    noun = "VPC Security Group Egress Rule"
    authorize, revoke = "authorize_security_group_egress", "revoke_security_group_egress"


class KeyPair(Ec2Resource):
    """A public key that instances let in; its id is its name."""

    noun = "EC2 Key Pair"
    required = ("publicKey",)
    computed = ("arn", "fingerprint", "keyName", "keyPairId", "keyType")
    replacing = frozenset({"keyName", "keyNamePrefix", "publicKey", "region"})

    def make(self, inputs: Facts) -> str:
        """Hand the key over."""
        name = inputs.get("keyName") or unique(inputs.get("keyNamePrefix") or "terraform-")
        self.ec2.import_key_pair(
            KeyName=name,
            PublicKeyMaterial=inputs["publicKey"].encode(),
            TagSpecifications=self.tags(inputs, "key-pair"),
        )
        return str(name)

    def look(self, identifier: str, known: Facts) -> Facts | None:
        """The key."""
        (found,) = self.ec2.describe_key_pairs(KeyNames=[identifier])["KeyPairs"]
        return {
            "arn": f"arn:aws:ec2:{self.region.name}::key-pair/{identifier}",
            "fingerprint": found["KeyFingerprint"],
            "keyName": identifier,
            "keyPairId": found["KeyPairId"],
            "keyType": found["KeyType"],
            "tags": tags_of(found),
        }

    def tag_target(self, identifier: str, state: Facts) -> str:
        """Tags are borne by the key's id, not its name."""
        return str(state["keyPairId"])

    def unmake(self, identifier: str, state: Facts) -> None:
        """Take it back; machines that have it keep it."""
        self.ec2.delete_key_pair(KeyName=identifier)


def _permission(inputs: Facts) -> dict[str, Any]:
    ports = {key: inputs[name] for key, name in (("FromPort", "fromPort"), ("ToPort", "toPort")) if name in inputs}
    text = {"Description": inputs["description"]} if inputs.get("description") else {}
    if inputs.get("cidrIpv4"):
        other: dict[str, Any] = {"IpRanges": [{"CidrIp": inputs["cidrIpv4"], **text}]}
    else:
        other = {"UserIdGroupPairs": [{"GroupId": inputs["referencedSecurityGroupId"], **text}]}
    return {"IpProtocol": inputs["ipProtocol"], **ports, **other}
