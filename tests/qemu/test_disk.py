"""Data disks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.qemu import disk
from components.qemu.layout import StackDirectory

pytestmark = pytest.mark.local

names = st.from_regex(r"[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?", fullmatch=True)


@given(names)
def test_a_serial_fits_into_what_virtio_carries(name: str) -> None:
    assert 0 < len(disk.serial_of(name)) <= disk.SERIAL_BYTES


@given(st.sets(names, min_size=2, max_size=2))
def test_two_disks_have_two_serials(pair: set[str]) -> None:
    assert len({disk.serial_of(name) for name in pair}) == 2


def test_a_disk_is_made_once_and_kept(stack: StackDirectory) -> None:
    first = disk.create(stack, "data", 5)
    stack.disk("data").with_suffix(".mark").hardlink_to(stack.disk("data"))
    again = disk.create(stack, "data", 5)
    assert again.instance == first.instance
    assert stack.disk("data").samefile(stack.disk("data").with_suffix(".mark"))


def test_a_disk_that_was_lost_comes_back_as_another_one(stack: StackDirectory) -> None:
    first = disk.create(stack, "data", 5)
    stack.disk("data").unlink()
    assert disk.label(stack, "data") is None
    assert disk.create(stack, "data", 5).instance != first.instance


def test_a_disk_grows_and_never_shrinks(stack: StackDirectory) -> None:
    disk.create(stack, "data", 5)
    disk.grow(stack, "data", 8)
    assert disk.size_gb(stack, "data") == 8
    with pytest.raises(disk.DiskError, match="disk data has 8 GB and cannot shrink to 6 GB"):
        disk.grow(stack, "data", 6)
    assert disk.size_gb(stack, "data") == 8


def test_a_half_made_disk_is_not_taken_for_one(stack: StackDirectory) -> None:
    stack.disk("data").parent.mkdir(parents=True)
    stack.disk("data").with_suffix(".making").write_bytes(b"half")
    assert disk.size_gb(stack, "data") is None
    disk.create(stack, "data", 5)
    assert disk.size_gb(stack, "data") == 5


def test_a_disk_is_its_owners_only(stack: StackDirectory) -> None:
    disk.create(stack, "data", 5)
    assert stack.disk("data").stat().st_mode & 0o777 == 0o600


def test_deleting_leaves_nothing_and_may_be_repeated(stack: StackDirectory) -> None:
    disk.create(stack, "data", 5)
    disk.delete(stack, "data")
    disk.delete(stack, "data")
    assert list((stack.root / "disks").iterdir()) == []


def test_a_name_cannot_lead_out_of_the_directory(stack: StackDirectory) -> None:
    with pytest.raises(ValueError, match=r"disk '\.\./escape': a name has 1 to 63"):
        disk.create(stack, "../escape", 5)
