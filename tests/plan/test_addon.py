"""The contract with the add-on: the schema, and who is told which password."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from plan import addon
from plan.settings import load

pytestmark = pytest.mark.plan

SCHEMA = json.loads(Path(addon.__file__).with_name("addon.schema.json").read_text(encoding="utf-8"))

NODE = addon.NodeFacts("storage-1", "127.9.9.1", "10.77.0.11", 2222, "ssh-ed25519 AAAAC3Nz")


def built() -> dict[str, Any]:
    settings = load(
        {
            "environments": {
                "shop": {"clients": ["10.77.0.101"], "readers": ["blog"]},
                "blog": {"clients": ["10.77.0.102"]},
            }
        }
    )
    passwords = {key: key.ljust(40, "x") for key in ("shop/password", "blog/password", "shop/readers/blog")}
    return addon.build(settings, project="backup-storage", stack="dev", nodes=[NODE], passwords=passwords)


def test_the_output_follows_its_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.validate(built(), SCHEMA)


@pytest.mark.parametrize("key", sorted(SCHEMA["required"]))
def test_the_schema_misses_each_key_that_is_left_out(key: str) -> None:
    output = built()
    del output[key]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(output, SCHEMA)


def test_a_reader_gets_a_password_of_its_own_and_a_read_only_mount() -> None:
    granted = built()["environments"]["blog"]["restoreFrom"]["shop"]
    assert granted["password"].startswith("shop/readers/blog")
    assert granted["mounts"][0]["options"].split(",")[0] == "ro"
    assert granted["mounts"][0]["source"] == "10.77.0.11:/data/shop"


def test_a_share_holds_nothing_of_the_other_environments() -> None:
    part = json.dumps(addon.share(built(), "shop"))
    assert "shop/password" in part
    assert "blog" not in part


def test_a_share_of_an_unknown_environment_names_the_known_ones() -> None:
    with pytest.raises(KeyError, match="no environment ghost in stack dev; there are: blog, shop"):
        addon.share(built(), "ghost")
