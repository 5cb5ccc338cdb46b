"""Who may reach the nodes: one security group, its rules as resources of their own."""

from __future__ import annotations

from typing import Any

import pulumi
import pulumi_aws as aws

from plan.aws import firewall
from plan.aws.firewall import Rule
from plan.settings import Settings


def security_group(
    settings: Settings, network: pulumi.Input[str], labels: dict[str, str], opts: pulumi.ResourceOptions
) -> aws.ec2.SecurityGroup:
    """Registers the nodes' security group. A changed setting adds and removes single rules and touches no other."""
    group = aws.ec2.SecurityGroup(
        "nodes",
        name_prefix=f"backup-storage-{labels['stack']}-",
        description="Backup storage nodes",
        vpc_id=network,
        tags=labels,
        opts=opts,
    )
    for rule in firewall.inward(settings):
        aws.vpc.SecurityGroupIngressRule(f"in-{rule.name}", **_arguments(group, rule, labels), opts=opts)
    for rule in firewall.outward(settings):
        aws.vpc.SecurityGroupEgressRule(f"out-{rule.name}", **_arguments(group, rule, labels), opts=opts)
    return group


def _arguments(group: aws.ec2.SecurityGroup, rule: Rule, labels: dict[str, str]) -> dict[str, Any]:
    other = {"referenced_security_group_id": group.id} if rule.cidr is None else {"cidr_ipv4": rule.cidr}
    ports = {} if rule.port is None else {"from_port": rule.port, "to_port": rule.port}
    return {
        "security_group_id": group.id,
        "ip_protocol": rule.protocol,
        "description": rule.description,
        "tags": labels,
        **other,
        **ports,
    }
