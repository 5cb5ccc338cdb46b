"""An AWS account of a test's own, on this computer, that remembers what it was asked and by whom."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import boto3

HOME = "eu-central-1"
DEBIAN = "136693071363"
IMAGE = "ami-0debian13000000aa"

_SERVER = Path(__file__).with_name("moto_server.py")


@dataclass(frozen=True)
class Asked:
    """One request: the region that it was signed for, the service, and what was asked."""

    region: str
    service: str
    action: str
    dry_run: bool


@dataclass
class Cloud:
    """A running server with one account."""

    endpoint: str
    recording: Path
    _forgotten: int = 0

    @property
    def environment(self) -> dict[str, str]:
        """What leads AWS's own tools there, and nowhere else."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": "/nonexistent",
            "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent",
        }

    def ec2(self, region: str = HOME) -> Any:
        """EC2 in a region."""
        return boto3.client(
            "ec2",
            region_name=region,
            endpoint_url=self.endpoint,
            aws_access_key_id="looking-on",
            aws_secret_access_key="looking-on",
        )

    def instances(self, region: str = HOME) -> list[dict[str, Any]]:
        """The machines that are alive."""
        found = self.ec2(region).describe_instances()["Reservations"]
        alive = [each for reservation in found for each in reservation["Instances"]]
        return [each for each in alive if each["State"]["Name"] not in ("terminated", "shutting-down")]

    def data_volumes(self, region: str = HOME) -> list[dict[str, Any]]:
        """The volumes that belong to a node."""
        found = self.ec2(region).describe_volumes()["Volumes"]
        return [each for each in found if any(tag["Key"] == "node" for tag in each.get("Tags", []))]

    def user_data(self, instance: str, region: str = HOME) -> str:
        """What an instance was told for its first boot."""
        found = self.ec2(region).describe_instance_attribute(InstanceId=instance, Attribute="userData")
        return base64.b64decode(found["UserData"]["Value"]).decode()

    def log(self) -> list[Asked]:
        """Everything that was asked since it was last forgotten, but by the test itself."""
        lines = [json.loads(line) for line in self.recording.read_text().splitlines()[self._forgotten :]]
        return [asked for line in lines if (asked := _asked(line)) is not None]

    def forget(self) -> None:
        """Begin the log anew."""
        self._forgotten = len(self.recording.read_text().splitlines())


@contextmanager
def running(directory: Path) -> Iterator[Cloud]:
    """A server for the length of a `with`."""
    images = directory / "images.json"
    images.write_text(json.dumps([_image(IMAGE, "debian-13-amd64-20260901-1")]))
    recording = directory / "asked.jsonl"
    recording.touch()
    environment = {
        "MOTO_AMIS_PATH": str(images),
        "MOTO_RECORDER_FILEPATH": str(recording),
        "MOTO_ENABLE_KEYPAIR_VALIDATION": "true",
    }
    with (
        (directory / "server.log").open("w") as said,
        subprocess.Popen(
            [sys.executable, str(_SERVER)],
            env=os.environ | environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=said,
            text=True,
        ) as process,
    ):
        assert process.stdout is not None
        yield Cloud(f"http://127.0.0.1:{int(process.stdout.readline())}", recording)
        process.communicate("", timeout=30)


def _image(identifier: str, name: str) -> dict[str, Any]:
    return {
        "ami_id": identifier,
        "name": name,
        "owner_id": DEBIAN,
        "public": True,
        "virtualization_type": "hvm",
        "architecture": "x86_64",
        "state": "available",
        "platform": None,
        "image_type": "machine",
        "hypervisor": "xen",
        "root_device_name": "/dev/xvda",
        "root_device_type": "ebs",
        "sriov": "simple",
        "description": "Debian 13",
        "creation_date": "2026-09-01T00:00:00.000Z",
    }


def _asked(line: dict[str, Any]) -> Asked | None:
    found = re.search(r"Credential=([^/]+)/\d+/([^/]+)/([^/]+)/", line["headers"].get("Authorization", ""))
    if found is None or found[1] == "looking-on":
        return None
    body = line.get("body") or ""
    text = base64.b64decode(body).decode() if line.get("body_encoded") else body
    fields = parse_qs(text)
    action = fields.get("Action") or [line["headers"].get("X-Amz-Target", "").rpartition(".")[2]]
    return Asked(found[2], found[3], action[0], fields.get("DryRun") == ["true"])
