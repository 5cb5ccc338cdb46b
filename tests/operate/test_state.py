"""What docs/state.md says, done as it stands there: the project's tools and engine around a small program."""

import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3  # type: ignore[import-untyped]
import pytest
from moto.server import ThreadedMotoServer

from tests.project import SOURCE, Project

pytestmark = pytest.mark.operate

PROGRAM = """\
import pulumi
import pulumi_random as random

kept = pulumi.ResourceOptions(protect=True)
root = random.RandomPassword("environments-secret-root", length=64, special=False, opts=kept)
pulumi.export("addon", pulumi.Output.secret({"password": root.result}))
"""


def told(name: str) -> str:
    """The commands of one part of the page."""
    page = (SOURCE / "docs/state.md").read_text(encoding="utf-8")
    found = re.search(rf"^```sh {name}\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    assert found, f"docs/state.md tells nothing of {name}"
    return found[1]


class Prod(Project):
    """A checkout with a stack `prod`."""

    stack = "prod"

    def do(self, *parts: str, backend: str = "") -> None:
        """Does what the page says, each part in a shell of its own; ``backend`` is set where one has chosen it."""
        chosen = f"export PULUMI_BACKEND_URL='{backend}'\n" if backend else ""
        for part in parts:
            self.shell(chosen + "set -e\n" + told(part).replace(DOCUMENTED, self.bucket))

    bucket = ""

    def state(self, backend: str = "") -> Any:
        """Resources and outputs, everything in plain text."""
        chosen = f"export PULUMI_BACKEND_URL='{backend}'\n" if backend else ""
        content = json.loads(self.shell(f"{chosen}pulumi stack export --show-secrets --stack prod").stdout)
        return content["deployment"].get("resources", [])


DOCUMENTED = "s3://my-bucket?region=eu-central-1"


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    """A bucket of a server that speaks S3, as Pulumi names it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
    server.start()
    try:
        yield f"s3://my-bucket?region=eu-central-1&endpoint=127.0.0.1:{port}&disableSSL=true&s3ForcePathStyle=true"
    finally:
        server.stop()


@pytest.fixture(scope="module")
def prod(tmp_path_factory: pytest.TempPathFactory, bucket: str) -> Iterator[Prod]:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "testing")
        host = re.search(r"endpoint=([^&]*)", bucket)
        assert host
        place = {"LocationConstraint": "eu-central-1"}
        client = boto3.client("s3", endpoint_url=f"http://{host[1]}", region_name="eu-central-1")
        client.create_bucket(Bucket="my-bucket", CreateBucketConfiguration=place)
        project = Prod(tmp_path_factory.mktemp("state") / "a checkout", environments={})
        project.bucket = bucket
        (project.root / "__main__.py").write_text(PROGRAM, encoding="utf-8")
        (project.root / "Pulumi.dev.yaml").unlink()
        project.make("up")
        yield project


def secret(project: Prod) -> str:
    return str(project.outputs()["addon"]["password"])


def test_a_copy_holds_no_secret_in_plain_text_and_brings_everything_back(prod: Prod) -> None:
    before = prod.state()
    prod.do("copy")
    copy = (prod.root / "prod-state.json").read_text(encoding="utf-8")
    assert "environments-secret-root" in copy
    assert secret(prod) not in copy
    prod.shell("pulumi state unprotect --all --stack prod --yes && pulumi destroy --stack prod --yes --skip-preview")
    assert prod.state() == []
    prod.do("restore")
    assert prod.state() == before


def test_the_state_moves_to_s3_and_back_and_nothing_else_changes(prod: Prod) -> None:
    before = prod.state()
    prod.do("to-s3")
    assert prod.state(prod.bucket) == before
    # What the state in files says from here on must not matter.
    prod.shell("pulumi stack rm --stack prod --force --preserve-config --yes")
    prod.shell(f"export PULUMI_BACKEND_URL='{prod.bucket}'; make up STACK=prod")
    prod.do("to-files", backend=prod.bucket)
    assert prod.state() == before
    assert not (prod.root / "prod-state.json").exists()


def test_a_changed_passphrase_opens_the_same_secrets_and_the_old_one_opens_none(prod: Prod) -> None:
    known, before = secret(prod), (prod.root / ".state/passphrase").read_text(encoding="utf-8")
    prod.do("passphrase")
    after = Path(prod.root / ".state/passphrase")
    assert after.read_text(encoding="utf-8") != before
    assert after.stat().st_mode & 0o777 == 0o600
    assert secret(prod) == known
    assert "unchanged" in prod.make("up").stdout
    (prod.root / "old").write_text(before, encoding="utf-8")
    refused = prod.shell(
        "PULUMI_CONFIG_PASSPHRASE_FILE=old pulumi stack output --show-secrets --stack prod", check=False
    )
    assert refused.returncode != 0
    assert "incorrect passphrase" in refused.stderr
