"""A state that was cut off comes back from the version before it."""

from pathlib import Path

import pytest

from operate import checkpoint
from operate.errors import OperateError

pytestmark = pytest.mark.operate

WHOLE, OLDER = '{"version": 3}', '{"version": 2}'


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The state file of stack prod."""
    monkeypatch.setenv("PULUMI_BACKEND_URL", f"file://{tmp_path}/a backend")
    path = tmp_path / "a backend/.pulumi/stacks/backup-storage/prod.json"
    path.parent.mkdir(parents=True)
    path.with_name("prod.json.bak").write_text(OLDER, encoding="utf-8")
    return path


@pytest.mark.parametrize("torn", ["", WHOLE[:-1], "\0" * 20])
def test_a_torn_state_is_replaced_by_the_version_before(state: Path, torn: str) -> None:
    state.write_text(torn, encoding="utf-8")
    assert checkpoint.restore_torn("prod")
    assert state.read_text(encoding="utf-8") == OLDER
    assert not checkpoint.restore_torn("prod")


def test_a_whole_state_is_left_alone(state: Path) -> None:
    state.write_text(WHOLE, encoding="utf-8")
    assert not checkpoint.restore_torn("prod")
    assert state.read_text(encoding="utf-8") == WHOLE


def test_nothing_happens_while_an_engine_holds_the_stack(state: Path) -> None:
    state.write_text("", encoding="utf-8")
    lock = state.parents[2] / "locks/organization/backup-storage/prod/a.json"
    lock.parent.mkdir(parents=True)
    lock.write_text("{}", encoding="utf-8")
    assert not checkpoint.restore_torn("prod")
    assert state.read_text(encoding="utf-8") == ""


def test_with_no_whole_version_left_the_older_ones_are_named(state: Path) -> None:
    for path in (state, state.with_name("prod.json.bak")):
        path.write_text("", encoding="utf-8")
    with pytest.raises(OperateError, match=r"cut off, and so is the version before it\. Older ones are in"):
        checkpoint.restore_torn("prod")
    assert state.read_text(encoding="utf-8") == ""


def test_torn_attributes_are_dropped_and_whole_ones_kept(state: Path) -> None:
    state.write_text(WHOLE, encoding="utf-8")
    attributes = state.with_name("prod.json.attrs")
    attributes.write_text("{}", encoding="utf-8")
    assert not checkpoint.restore_torn("prod")
    assert attributes.exists()
    attributes.write_text("{", encoding="utf-8")
    assert not checkpoint.restore_torn("prod")
    assert not attributes.exists()


def test_a_new_stack_has_nothing_to_restore(state: Path) -> None:
    assert not checkpoint.restore_torn("prod")
