"""How fast this computer's counter runs, as machines are told that read it."""

import mmap
import platform

import pytest

from components.qemu import counter

pytestmark = pytest.mark.local


def test_the_rate_is_the_same_each_time() -> None:
    first, second = counter.khz(), counter.khz()
    assert first is not None
    assert second == pytest.approx(first, rel=1e-3)


def test_where_it_cannot_be_read_machines_measure_it_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> mmap.mmap:
        raise PermissionError

    monkeypatch.setattr(mmap, "mmap", refused)
    assert counter.khz() is None


def test_another_kind_of_processor_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    assert counter.khz() is None
