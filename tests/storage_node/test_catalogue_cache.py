"""The catalogue's cache is a convenience: whatever happens to it, the answers stay right."""

from __future__ import annotations

import shutil
from collections.abc import Callable

import pytest

from storage_node.catalogue import cache, derivation
from tests.storage_node.storage import Storage

pytestmark = pytest.mark.catalogue


def test_the_key_is_derived_once_ever(shop: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(derivation, "master_key", lambda *_: pytest.fail("derived again"))
    shop.backup("shop", "new c auto", time="2026-02-01 02:00:00")
    assert "new" in shop.one("shop")["backups"]
    assert shop.all()["result"] == 0


def test_another_repository_in_the_same_place_is_read_anew(shop: Storage) -> None:
    shutil.rmtree(shop.paths.repository("shop"))
    shop.make("shop")
    assert shop.one("shop") == {"result": 0, "backups": []}
    shop.backup("shop", "other c auto", time="2026-02-01 02:00:00")
    assert shop.one("shop")["backups"] == ["other"]


def _older_version(content: bytes) -> bytes:
    return content.replace(cache.FORMAT.encode(), b"storage-node-catalogue-0", 1)


def _flip(at: float) -> Callable[[bytes], bytes]:
    def damage(content: bytes) -> bytes:
        place = int(len(content) * at)
        return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]

    return damage


@pytest.mark.parametrize(
    "damage",
    [
        *(lambda _: b"", lambda c: c[: len(c) // 2], lambda _: b"\0" * 100, lambda _: b"a b c\n{}\n[]", _older_version),
        *(_flip(at) for at in (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99)),
    ],
)
def test_a_damaged_cache_changes_no_answer(shop: Storage, damage: Callable[[bytes], bytes]) -> None:
    before = shop.one("shop")
    file = cache.file(shop.paths, "shop")
    file.write_bytes(damage(file.read_bytes()))
    assert shop.one("shop") == before
    shop.backup("shop", "new c auto", time="2026-02-01 02:00:00")
    assert shop.one("shop")["backups"] == shop.by_restic("shop")


def test_a_cache_that_cannot_be_written_changes_no_answer(shop: Storage) -> None:
    before = shop.all()
    shutil.rmtree(shop.paths.cache)
    shop.paths.cache.write_text("in the way")
    assert shop.all() == before


def test_the_cache_is_root_only(shop: Storage) -> None:
    for path in (shop.paths.cache, *shop.paths.cache.rglob("*")):
        assert path.stat().st_mode & 0o077 == 0, path
