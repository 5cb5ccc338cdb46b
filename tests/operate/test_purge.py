"""Purge: everything that is stopped before a node is even asked."""

from typing import Any

import pytest

from operate.errors import OperateError
from operate.purge import purge

pytestmark = pytest.mark.operate

OUTPUTS: dict[str, Any] = {"environments": ["shop"], "nodes": []}


@pytest.mark.parametrize("name", ["", "a b", "a;reboot", "../shop", "$(id)", "A"])
def test_what_is_no_environment_name_never_reaches_a_command_line(name: str) -> None:
    with pytest.raises(OperateError, match="is no environment name"):
        purge(OUTPUTS, name, name)


def test_an_active_environment_is_refused() -> None:
    with pytest.raises(OperateError, match="shop is an environment of this stack"):
        purge(OUTPUTS, "shop", "shop")


def test_a_confirmation_must_repeat_the_name() -> None:
    with pytest.raises(OperateError, match="CONFIRM=other does not repeat ENV=old; nothing was deleted"):
        purge(OUTPUTS, "old", "other")
