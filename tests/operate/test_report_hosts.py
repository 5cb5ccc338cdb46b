"""The preview report on machines that existed before the stack."""

import json
from typing import Any

import pytest

from operate.report.judgement import Judgement, judge
from operate.report.preview import parse

pytestmark = [pytest.mark.review, pytest.mark.hosts]

URN = "urn:pulumi:test::backup-storage::pulumi-python:dynamic/hosts:Hosts::hosts"

HOST = {
    "node": "storage-1",
    "address": "203.0.113.7",
    "port": 22,
    "hostKey": "ssh-ed25519 AAAA",
    "device": "/dev/disk/by-id/a",
    "filesystem": "f",
}


def judged(op: str, *, protect: bool = False, **changed: Any) -> Judgement:
    """What a step means that changes the first of two machines."""
    second = {**HOST, "node": "storage-2"}
    old = {"inputs": {"hosts": [HOST, second], "sizeGb": 10}, "protect": protect}
    step = {"op": op, "urn": URN, "oldState": old}
    if op == "update":
        shared = {"sizeGb": changed.pop("sizeGb", 10)}
        step["newState"] = {"inputs": {"hosts": [{**HOST, **changed}, second], **shared}, "protect": protect}
    return judge(parse(json.dumps({"steps": [step]})))


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"hostKey": "ssh-ed25519 BBBB", "address": "203.0.113.8"}, "machine"),
        ({"device": "/dev/disk/by-id/b"}, "disk"),
        ({"hostKey": "ssh-ed25519 BBBB", "device": "/dev/disk/by-id/b"}, "machine and disk"),
    ],
)
def test_another_machine_or_disk_is_dangerous_and_named(changed: dict[str, Any], what: str) -> None:
    found = judged("update", **changed)
    (finding,) = found.findings
    assert finding.subject == "storage-1"
    assert finding.texts[0] == f"becomes a fresh node on another {what}, {changed.get('address', '203.0.113.7')}"
    assert finding.dangers == (f"another {what} takes its place; the backups stay on the old one",)


def test_another_way_to_the_same_machine_is_told_and_harmless() -> None:
    found = judged("update", address="203.0.113.8", port=2222)
    assert not found.dangerous
    assert found.findings[0].texts == ('address "203.0.113.7" → "203.0.113.8"', "port 22 → 2222")


def test_what_is_told_of_the_nodes_already_is_not_told_of_the_machines_again() -> None:
    assert judged("update", sizeGb=20).findings == []


def test_forgetting_protected_machines_is_dangerous() -> None:
    assert judged("delete", protect=True).dangerous
    assert not judged("delete").dangerous
