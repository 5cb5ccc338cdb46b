"""A recovery looks first: nothing is taken over where a part is missing that would be made anew and empty."""

from pathlib import Path
from typing import Any

import pytest

from operate import recover as module
from operate.errors import OperateError
from operate.recover import Parts, obstacles, planned, recover
from operate.report.preview import parse
from tests.operate.report.golden import recorded

pytestmark = pytest.mark.operate

ONE = Parts(frozenset({"storage-1"}), {"storage-1-data": 10})


def test_what_the_settings_ask_for_is_read_from_a_preview() -> None:
    assert planned(parse(recorded("new-storage"))) == ONE


def test_settings_that_cannot_be_used_end_it() -> None:
    with pytest.raises(OperateError, match="2 problems in the settings"):
        planned(parse(recorded("settings-refused")))


def test_everything_in_its_place_is_no_obstacle() -> None:
    assert obstacles("prod", ONE, ONE) == []
    assert obstacles("prod", Parts(ONE.machines, {"storage-1-data": 14}), ONE) == []


@pytest.mark.parametrize(
    ("there", "problems"),
    [
        (Parts(frozenset(), {}), ["There is nothing of stack prod in .state/local/prod. `make up STACK=prod`"]),
        (Parts(ONE.machines, {}), ["The data disk storage-1-data is missing in .state/local/prod/disks, and an empty"]),
        (Parts(frozenset(), ONE.disks), ["The system disk of machine storage-1 is missing in .state/local/prod/mach"]),
        (
            Parts(frozenset({"storage-1", "storage-2"}), {**ONE.disks, "old": 5}),
            ["The settings do not ask for old, storage-2, which .state/local/prod holds."],
        ),
        (
            Parts(frozenset({"storage-2"}), {"storage-2-data": 10}),
            ["The data disk storage-1-data", "The system disk of machine storage-1", "The settings do not ask for st"],
        ),
    ],
)
def test_each_obstacle_is_named(there: Parts, problems: list[str]) -> None:
    told = obstacles("prod", there, ONE)
    assert [text[: len(start)] for text, start in zip(told, problems, strict=True)] == problems


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """An engine whose state is empty, and what was asked of it."""
    asked: list[str] = []
    monkeypatch.setattr(module, "platform", lambda _: "local")
    monkeypatch.setattr(module, "resources", lambda _: [])
    monkeypatch.setattr(module, "preview", lambda _: parse(recorded("new-storage")))
    monkeypatch.setattr(module, "found", lambda _: ONE)
    monkeypatch.setattr("operate.recover.subprocess.run", lambda line, **_: asked.append(" ".join(line)))
    return asked


def test_without_a_confirmation_it_says_what_it_would_do_and_does_nothing(engine: list[str]) -> None:
    said = recover("prod", None)
    assert "machine storage-1 with its system disk; data disk storage-1-data, 10 GB" in said
    assert "make recover STACK=prod CONFIRM=prod" in said
    assert engine == []


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("platform", "aws", "are on the platform aws"),
        ("resources", [{"urn": "urn::storage-1", "type": "pulumi-python:dynamic/qemu:Machine"}], "knows of storage-1"),
        ("found", Parts(ONE.machines, {}), "The data disk storage-1-data is missing"),
    ],
)
def test_nothing_is_done_where_it_must_not_be(
    engine: list[str], monkeypatch: pytest.MonkeyPatch, name: str, value: Any, reason: str
) -> None:
    monkeypatch.setattr(module, name, lambda _: value)
    with pytest.raises(OperateError, match=reason):
        recover("prod", "prod")
    assert engine == []


def test_a_confirmation_must_repeat_the_stacks_name(engine: list[str]) -> None:
    with pytest.raises(OperateError, match="CONFIRM=dev does not repeat STACK=prod; nothing was done"):
        recover("prod", "dev")
    assert engine == []


def test_the_local_look_finds_nothing_where_nothing_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert module.found("a-stack-that-never-was") == Parts(frozenset(), {})
