"""What docs/state.md says, done as it stands there: the project's tools and engine around a small program."""

import json
import re
import socket
from collections.abc import Iterator
from typing import Any

import boto3
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
        # A second stack with the same passphrase; and Pulumi.dev.yaml is there, a stack that was never made.
        (project.root / "Pulumi.other.yaml").write_text("config: {}\n", encoding="utf-8")
        project.make("up")
        project.make("up", STACK="other")
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
    known, before = secret(prod), passphrase(prod)
    prod.do("passphrase")
    assert passphrase(prod) != before
    assert (prod.root / ".state/passphrase").stat().st_mode & 0o777 == 0o600
    assert secret(prod) == known
    for stack in ("prod", "other"):
        assert "unchanged" in prod.make("up", STACK=stack).stdout
        line = f"PULUMI_CONFIG_PASSPHRASE_FILE=.state/passphrase.old pulumi stack output --show-secrets --stack {stack}"
        refused = prod.shell(line, check=False)
        assert refused.returncode != 0
        assert "incorrect passphrase" in refused.stderr


def test_a_change_of_the_passphrase_that_was_interrupted_goes_on_where_it_stopped(prod: Prod) -> None:
    known = secret(prod)
    new = prod.root / ".state/passphrase.new"
    new.write_text("a new passphrase\n", encoding="utf-8")
    prod.shell(f"cat '{new}' '{new}' | pulumi stack change-secrets-provider --stack other passphrase")
    prod.do("passphrase")
    assert passphrase(prod) == "a new passphrase\n"
    assert not new.exists()
    assert secret(prod) == known
    assert "unchanged" in prod.make("up", STACK="other").stdout


def test_a_stack_that_opens_with_neither_passphrase_stops_the_change_and_both_are_kept(prod: Prod) -> None:
    before, known = passphrase(prod), secret(prod)
    (prod.root / ".state/third").write_text("of somebody else\n", encoding="utf-8")
    line = "cat .state/third .state/third | pulumi stack change-secrets-provider --stack other passphrase"
    prod.shell(line)
    with pytest.raises(AssertionError, match="incorrect passphrase"):
        prod.do("passphrase")
    assert passphrase(prod) == before
    made = (prod.root / ".state/passphrase.new").read_text(encoding="utf-8")
    opened = [file for file in ("passphrase", "passphrase.new") if opens(prod, file)]
    assert len(opened) == 1, f"prod opens with {opened}"
    assert made != before
    # The third one is put right, and it goes on.
    third = "export PULUMI_CONFIG_PASSPHRASE_FILE=.state/third; cat .state/passphrase.new .state/passphrase.new"
    prod.shell(f"{third} | pulumi stack change-secrets-provider --stack other passphrase")
    prod.do("passphrase")
    assert passphrase(prod) == made
    assert secret(prod) == known


def passphrase(project: Prod) -> str:
    return (project.root / ".state/passphrase").read_text(encoding="utf-8")


def opens(project: Prod, file: str) -> bool:
    line = f"PULUMI_CONFIG_PASSPHRASE_FILE=.state/{file} pulumi stack output --show-secrets --stack prod"
    return project.shell(line, check=False).returncode == 0
