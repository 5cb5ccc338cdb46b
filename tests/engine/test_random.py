"""Random values: their shape, what keeps them, what replaces them."""

from __future__ import annotations

import base64
import json
import string
import uuid
from typing import Any

import pytest

from tests.engine.conftest import MakeStack
from tests.engine.stack import Stack

pytestmark = pytest.mark.engine

SPECIAL = "!@#$%&*()-_=+[]{}<>:?"
MANY = 60

PROGRAM = """
    passwords = {name: random.RandomPassword(name, **given) for name, given in settings["passwords"].items()}
    pulumi.export("passwords", {name: made.result for name, made in passwords.items()})
    pulumi.export("hashes", {name: made.bcrypt_hash for name, made in passwords.items()})
    text = random.RandomString("text", length=12, special=False)
    pulumi.export("text", [text.id, text.result])
    number = random.RandomId("number", byte_length=8, prefix="p-")
    pulumi.export("number", {"id": number.id, "hex": number.hex, "dec": number.dec, "b64": number.b64_std,
                             "url": number.b64_url})
    content = random.RandomBytes("content", length=16)
    pulumi.export("content", {"hex": content.hex, "base64": content.base64})
    unique = random.RandomUuid("unique", keepers={"a": "b"})
    pulumi.export("unique", [unique.id, unique.result])
"""

PASSWORDS: dict[str, dict[str, Any]] = {
    "plain": {"length": 40},
    "letters": {"length": 33, "special": False, "numeric": False},
    "demanding": {"length": 12, "min_upper": 3, "min_lower": 3, "min_numeric": 3, "min_special": 3},
    "own": {
        "length": MANY,
        "special": True,
        "upper": False,
        "lower": False,
        "numeric": False,
        "override_special": "#~",
    },
    "kept": {"length": 20, "keepers": {"generation": "1"}},
    "long": {"length": 100},
}


@pytest.fixture(scope="module")
def stack(make_stack: MakeStack) -> Stack:
    stack = make_stack()
    stack.program(PROGRAM)
    stack.settings(passwords=PASSWORDS)
    stack.up()
    return stack


@pytest.fixture(scope="module")
def outputs(stack: Stack) -> dict[str, Any]:
    return stack.outputs()


@pytest.fixture(scope="module")
def state(stack: Stack) -> dict[str, dict[str, Any]]:
    return stack.resources()


def test_a_password_has_its_length_and_characters(outputs: dict[str, Any]) -> None:
    passwords = outputs["passwords"]
    assert {name: len(text) for name, text in passwords.items()} == {k: v["length"] for k, v in PASSWORDS.items()}
    assert set(passwords["letters"]) <= set(string.ascii_letters)
    assert set(passwords["own"]) == set("#~")
    assert set(passwords["plain"]) <= set(string.ascii_letters + string.digits + SPECIAL)


def test_the_minima_are_met(outputs: dict[str, Any]) -> None:
    made = outputs["passwords"]["demanding"]
    for wanted in (string.ascii_uppercase, string.ascii_lowercase, string.digits, SPECIAL):
        assert sum(character in wanted for character in made) == 3


def test_a_password_has_a_bcrypt_hash(outputs: dict[str, Any]) -> None:
    assert {text[:7] for text in outputs["hashes"].values()} == {"$2a$10$"}
    assert {len(text) for text in outputs["hashes"].values()} == {60}


def test_a_password_is_nowhere_in_the_state(outputs: dict[str, Any], state: dict[str, Any]) -> None:
    stored = json.dumps(state)
    for secret in (*outputs["passwords"].values(), *outputs["hashes"].values()):
        assert json.dumps(secret)[1:-1] not in stored


def test_the_state_says_what_the_defaults_were(state: dict[str, Any]) -> None:
    kept = state["plain"]["outputs"]
    assert state["plain"]["id"] == "none"
    for name in ("lower", "upper", "number", "numeric", "special"):
        assert kept[name] is True
    for name in ("minLower", "minUpper", "minNumeric", "minSpecial"):
        assert kept[name] == 0


def test_a_string_is_its_own_id_and_no_secret(outputs: dict[str, Any], state: dict[str, Any]) -> None:
    assert outputs["text"][0] == outputs["text"][1] == state["text"]["outputs"]["result"]
    assert len(outputs["text"][0]) == 12


def test_an_id_says_the_same_in_every_notation(outputs: dict[str, Any]) -> None:
    number = outputs["number"]
    content = base64.urlsafe_b64decode(number["id"] + "=")
    assert number == {
        "id": number["id"],
        "hex": "p-" + content.hex(),
        "dec": f"p-{int.from_bytes(content, 'big')}",
        "b64": "p-" + base64.b64encode(content).decode(),
        "url": "p-" + number["id"],
    }


def test_bytes_say_the_same_in_both_notations_and_in_the_id(outputs: dict[str, Any], state: dict[str, Any]) -> None:
    assert outputs["content"]["base64"] == state["content"]["id"]
    assert base64.b64decode(outputs["content"]["base64"]).hex() == outputs["content"]["hex"]


def test_a_uuid_is_one(outputs: dict[str, Any]) -> None:
    assert outputs["unique"][0] == outputs["unique"][1] == str(uuid.UUID(outputs["unique"][0]))


def test_only_a_changed_value_replaces(stack: Stack, outputs: dict[str, Any]) -> None:
    changed = PASSWORDS | {
        "plain": {"length": 40, "special": True, "min_upper": 0},
        "kept": {"length": 20, "keepers": {"generation": "2"}},
        "letters": {"length": 34, "special": False, "numeric": False},
    }
    stack.settings(passwords=changed)
    planned = stack.planned()
    assert {name: step["op"] for name, step in planned.items()} == {"kept": "replace", "letters": "replace"}
    assert planned["letters"]["replaceReasons"] == ["length"]
    assert planned["kept"]["replaceReasons"] == ["keepers"]
    stack.up()
    after = stack.outputs()["passwords"]
    assert {name for name in after if after[name] != outputs["passwords"][name]} == {"kept", "letters"}


def test_an_impossible_length_is_refused_at_preview(make_stack: MakeStack) -> None:
    stack = make_stack()
    stack.program("""
        random.RandomPassword("short", length=3, min_upper=2, min_lower=2)
    """)
    failed = stack.pulumi("preview", check=False)
    assert failed.status != 0
    assert "length value must be at least" in failed.text


def test_a_password_can_be_imported(make_stack: MakeStack) -> None:
    stack = make_stack()
    stack.program("")
    secret = "a-Secret-of-20-chars"
    stack.pulumi(
        *("import", "--yes", "--skip-preview", "--protect=false", "--generate-code=false"),
        *("random:index/randomPassword:RandomPassword", "adopted", secret),
    )
    assert secret not in json.dumps(stack.resources())
    stack.program("""
        made = random.RandomPassword("adopted", length=20)
        pulumi.export("adopted", made.result)
    """)
    assert "adopted" not in stack.planned()
    stack.up()
    assert stack.outputs() == {"adopted": secret}
    kept = stack.resources()["adopted"]
    assert kept["id"] == "none"
    assert "ciphertext" in kept["outputs"]["result"]
