"""`RandomPassword` and `RandomString`."""

from __future__ import annotations

import secrets
from typing import Any, ClassVar

from engine.standins.generated import Generated
from engine.standins.randoms.bcrypt import bcrypt_hash
from engine.standins.resource import Call, CheckFailure, ProviderError
from engine.standins.values import Properties, Unknown, plain

UPPER = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
LOWER = UPPER.lower()
DIGITS = "0123456789"
SPECIAL = "!@#$%&*()-_=+[]{}<>:?"
"""The character sets of the random provider."""

_MINIMA = ("minUpper", "minLower", "minNumeric", "minSpecial")


def random_text(inputs: dict[str, Any]) -> str:
    """A random string that holds at least the wanted number of characters from each set."""
    special = inputs.get("overrideSpecial") or SPECIAL
    sets = {
        "minUpper": UPPER if inputs["upper"] else "",
        "minLower": LOWER if inputs["lower"] else "",
        "minNumeric": DIGITS if inputs["numeric"] else "",
        "minSpecial": special if inputs["special"] else "",
    }
    alphabet = "".join(sets.values())
    if not alphabet:
        raise ProviderError("the character set specified is empty")
    full_sets = {"minUpper": UPPER, "minLower": LOWER, "minNumeric": DIGITS, "minSpecial": special}
    characters = [secrets.choice(full_sets[minimum]) for minimum in _MINIMA for _ in range(int(inputs[minimum]))]
    characters += [secrets.choice(alphabet) for _ in range(int(inputs["length"]) - len(characters))]
    secrets.SystemRandom().shuffle(characters)
    return "".join(characters)


class RandomString(Generated):
    """A random string; its id is the string itself."""

    defaults: ClassVar[Properties] = {
        "lower": True,
        "minLower": 0,
        "minNumeric": 0,
        "minSpecial": 0,
        "minUpper": 0,
        "number": True,
        "numeric": True,
        "special": True,
        "upper": True,
    }
    computed: ClassVar[tuple[str, ...]] = ("result",)

    def settle(self, inputs: Properties) -> Properties:
        """`number` is the former name of `numeric`: one that is given stands for both."""
        settled = super().settle(inputs)
        if inputs.get("numeric") is not None:
            settled["number"] = inputs["numeric"]
        elif inputs.get("number") is not None:
            settled["numeric"] = inputs["number"]
        return settled

    async def check(self, call: Call, inputs: Properties) -> tuple[Properties, list[CheckFailure]]:
        """The length has to hold all the minima."""
        settled = plain(self.settle(inputs))
        length = settled.get("length")
        wanted = [settled[minimum] for minimum in _MINIMA]
        if isinstance(length, Unknown) or any(isinstance(value, Unknown) for value in wanted):
            return inputs, []
        if length is None:
            return inputs, [CheckFailure("length", "Missing required property 'length'")]
        least = max(1, int(sum(wanted)))
        if length < least:
            return inputs, [
                CheckFailure("length", f"Attribute length value must be at least {least}, got: {int(length)}")
            ]
        return inputs, []

    def generate(self, inputs: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """Make the string."""
        result = random_text(inputs)
        return result, {"result": result}

    def adopt(self, identifier: str) -> tuple[str, dict[str, Any]]:
        """The import id is the string."""
        return identifier, self.defaults | {"length": len(identifier), "result": identifier}


class RandomPassword(RandomString):
    """A random string that is secret; its id says nothing."""

    computed: ClassVar[tuple[str, ...]] = ("bcryptHash", "result")
    secret = frozenset(computed)

    def generate(self, inputs: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """Make the password and its hash."""
        result = random_text(inputs)
        return "none", {"result": result, "bcryptHash": bcrypt_hash(result)}

    def adopt(self, identifier: str) -> tuple[str, dict[str, Any]]:
        """The import id is the password."""
        _, outputs = super().adopt(identifier)
        return "none", outputs | {"bcryptHash": bcrypt_hash(identifier)}
