"""A lost member's fresh brick is filled by a copy of another's: over real TLS, by the real tar, into a directory."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from storage_node.cluster import brick, donor, filling, wire
from storage_node.paths import Paths
from tests.storage_node import nodes
from tests.storage_node.bricks import accuse, doubt, make, picture
from tests.storage_node.pool import LOST, Pool

pytestmark = pytest.mark.cluster
WHOLE, LACKS = bytes(12), bytes(11) + b"\1"


def test_a_lost_brick_is_filled_with_all_that_another_has(pool: Pool, capfd: pytest.CaptureFixture[str]) -> None:
    pool.others_give()
    # What the lost one lacks is what it is for.
    accuse(pool.brick("storage-1"), "shop/data", "data-client-1", LACKS)
    assert pool.fill()
    assert picture(pool.place) == picture(pool.brick("storage-1"))
    assert not any(key.startswith("trusted.afr") for key in os.listxattr(pool.place / "shop/data"))
    assert "filled by a copy of storage-1's: " in capfd.readouterr().err
    assert not pool.failures


def test_a_brick_that_lacks_something_is_not_copied(pool: Pool, capfd: pytest.CaptureFixture[str]) -> None:
    pool.others_give()
    # Marks that are taken back remain as noughts.
    accuse(pool.brick("storage-1"), "blog", "data-client-2", WHOLE)
    accuse(pool.brick("storage-3"), "blog/link", "data-client-0", LACKS)
    assert pool.fill()
    assert picture(pool.place) == picture(pool.brick("storage-3"))
    shutil.rmtree(pool.place)
    accuse(pool.brick("storage-1"), "blog", "data-client-2", LACKS)
    assert not pool.fill() and not pool.place.exists()
    assert "Each of the other bricks lacks something that another has" in capfd.readouterr().err


def test_while_bricks_come_nothing_is_copied(pool: Pool, capfd: pytest.CaptureFixture[str]) -> None:
    pool.others_give()
    pool.changing = True
    assert not pool.fill() and not pool.place.exists()
    assert "A change of the volume's bricks is under way" in capfd.readouterr().err


@pytest.mark.parametrize("when", ["before", "meanwhile"])
def test_what_may_bring_a_removed_name_back_is_no_copy(
    pool: Pool, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], when: str
) -> None:
    pool.others_give()
    # Of a file that is being written only its content is in doubt.
    doubt(pool.brick("storage-3"), "shop/data/00/pack")
    monkeypatch.setattr(brick, "CHANGING_SECONDS", 0.0)
    if when == "before":
        doubt(pool.brick("storage-3"), "shop/data/00")
    give = donor.give

    def given(place: Path, asking: wire.Connection) -> None:
        give(place, asking)
        doubt(pool.brick("storage-3"), "shop/data/00")

    monkeypatch.setattr(donor, "give", given)
    assert not pool.fill() and not pool.place.exists()
    assert "On storage-3 it is in doubt whether a name was changed" in capfd.readouterr().err


def test_a_change_that_comes_to_its_end_is_no_doubt(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    pool.others_give()
    doubt(pool.brick("storage-1"), "shop/data/00")
    now = [0.0]

    def sleep(seconds: float) -> None:
        """There is another change whenever somebody looks but twice."""
        now[0] += seconds
        shutil.rmtree(pool.brick("storage-1") / ".glusterfs/indices/dirty", ignore_errors=True)
        if now[0] >= brick.CHANGING_SECONDS:
            doubt(pool.brick("storage-1"), "shop/data/00")

    monkeypatch.setattr(brick, "time", SimpleNamespace(monotonic=lambda: now[0], sleep=sleep))
    assert pool.fill()


def test_a_copy_of_what_came_to_lack_something_is_none(
    pool: Pool, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    pool.others_give()
    give = donor.give

    def given(place: Path, asking: wire.Connection) -> None:
        give(place, asking)
        accuse(pool.brick("storage-3"), "blog", "data-client-0", LACKS)

    monkeypatch.setattr(donor, "give", given)
    assert not pool.fill() and not pool.place.exists()
    assert "Meanwhile storage-1 has come to lack something" in capfd.readouterr().err


def test_a_new_member_starts_empty_without_a_word(pool: Pool, capfd: pytest.CaptureFixture[str]) -> None:
    # Nobody gives anything before there is a volume.
    assert not pool.fill()
    pool.others_give()
    del pool.known["127.77.0.2:/brick/brick-2"]
    assert not pool.fill() and not pool.place.exists()
    assert not capfd.readouterr().err


def test_without_the_account_of_all_others_nothing_is_copied(pool: Pool, capfd: pytest.CaptureFixture[str]) -> None:
    make(pool.brick("storage-1"))
    pool.listen("storage-1")
    assert not pool.fill() and not pool.place.exists()
    assert "left to be healed: storage-3 gives no account ([Errno 111]" in capfd.readouterr().err


def test_who_has_another_brick_than_the_volumes_gives_nothing(pool: Pool, capfd: pytest.CaptureFixture[str]) -> None:
    make(pool.brick("storage-1"))
    # Its disk is not there, or blank, or just filled.
    (pool.brick("storage-3").with_name("brick-0")).mkdir()
    for name in ("storage-1", "storage-3"):
        pool.listen(name)
    assert not pool.fill() and not pool.place.exists()
    words = "storage-3 gives no account (storage-3 refuses: The volume's brick on this member is not on its disk.)"
    assert words in capfd.readouterr().err


def test_each_part_of_a_dispersed_volume_is_on_one_brick_alone(pool: Pool) -> None:
    cluster = nodes.cluster(layout="dispersed")
    assert not filling.fill(pool.paths(LOST), LOST, cluster, pool.place)


def test_who_answers_has_to_be_the_member_of_that_address(pool: Pool, capfd: pytest.CaptureFixture[str]) -> None:
    make(pool.brick("storage-3"))
    pool.listen("storage-3")
    pool.listen("storage-1", lambda plain: donor.run(pool.paths("storage-3"), plain))
    assert not pool.fill()
    assert "Who answers at 127.77.0.1 is 'storage-3' by its certificate, and not storage-1" in capfd.readouterr().err


@pytest.mark.parametrize("at", ["before", "within", "after"])
def test_a_copy_that_breaks_off_leaves_nothing(
    pool: Pool, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], at: str
) -> None:
    pool.others_give()

    def give(place: Path, asking: wire.Connection) -> None:
        if at != "before":
            asking.send(bytes(10_000))
        if at == "after":
            asking.send(b"")
        raise ConnectionResetError(104, "Connection reset by peer")

    say = wire.Connection.say

    def refuse(self: wire.Connection, said: dict[str, object]) -> None:
        if "refused" in said:
            raise ConnectionResetError(104, "Connection reset by peer")
        say(self, said)

    monkeypatch.setattr(donor, "give", give)
    monkeypatch.setattr(wire.Connection, "say", refuse)
    assert not pool.fill() and not pool.place.exists()
    assert "left to be healed: storage-1 broke off" in capfd.readouterr().err


def test_a_brick_that_cannot_be_read_as_a_whole_is_no_copy(
    pool: Pool, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    pool.others_give()
    packed = " ".join(f"'{word}'" for word in donor.PACK)
    monkeypatch.setattr(donor, "PACK", ("sh", "-c", f"{packed}; exit 2"))
    assert not pool.fill() and not pool.place.exists()
    assert "storage-1 could not read all of its brick" in capfd.readouterr().err


def test_what_cannot_be_unpacked_is_no_copy(
    pool: Pool, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    pool.others_give()
    monkeypatch.setattr(donor, "PACK", ("echo", "no archive"))
    assert not pool.fill() and not pool.place.exists()
    said = capfd.readouterr().err
    assert "tar" in said and "What storage-1 gave could not be unpacked (tar, status 2)" in said


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda root: os.removexattr(root / "shop/data/00", "trusted.gfid"), "shop/data/00 was copied without its id"),
        (
            lambda root: os.setxattr(root / "blog", "trusted.gfid", os.getxattr(root / "shop", "trusted.gfid")),
            "was moved while it was copied",
        ),
        (
            lambda root: os.setxattr(
                root / "blog/empty", "trusted.gfid", os.getxattr(root / "shop/config", "trusted.gfid")
            ),
            "was moved while it was copied",
        ),
    ],
)
def test_what_was_being_made_or_moved_is_no_copy(
    pool: Pool, capfd: pytest.CaptureFixture[str], spoil: Callable[[Path], None], words: str
) -> None:
    pool.others_give()
    spoil(pool.brick("storage-1"))
    assert not pool.fill() and not pool.place.exists()
    assert words in capfd.readouterr().err


def test_a_brick_has_its_name_once_it_is_filled(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    disk = paths.at(paths.brick_mount)
    (disk / ".filling/shop").mkdir(parents=True)

    def fill(place: Path) -> bool:
        assert not place.exists() and not brick.there(paths)
        place.mkdir()
        (place / "blog").mkdir()
        return True

    place = disk / Path(brick.ensure(paths, fill)).name
    assert [entry.name for entry in disk.iterdir()] == [place.name]
    assert [entry.name for entry in place.iterdir()] == ["blog"]
    # One that is there is left as it is.
    assert brick.ensure(paths, lambda _: pytest.fail("it was filled again")) == f"/brick/{place.name}"
