"""What is committed, as git has it: a working tree may hold more once `make up` has run in it."""

import subprocess

import pytest
import yaml

from tests.project import SOURCE

pytestmark = pytest.mark.operate


def git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=SOURCE, capture_output=True, text=True, check=True).stdout


@pytest.mark.skipif(not (SOURCE / ".git").exists(), reason="this is no clone, so nothing is committed in it")
def test_no_example_stack_carries_a_salt() -> None:
    """A clone makes a passphrase of its own, which could not open what belongs to the salt of another."""
    examples = git("ls-files", "Pulumi.*.yaml").split()
    assert "Pulumi.dev.yaml" in examples
    for name in examples:
        assert set(yaml.safe_load(git("show", f":{name}"))) == {"config"}, f"{name} holds more than settings"
