"""Damage, and clients that write what the format does not allow: reported, and everything else answered."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from storage_node import passwords
from storage_node.catalogue import contract
from tests.storage_node.storage import Storage

pytestmark = pytest.mark.catalogue


def _overwrite(file: Path, content: bytes) -> None:
    file.chmod(0o600)
    file.write_bytes(content)


def _no_config(shop: Storage) -> None:
    (shop.paths.repository("shop") / "config").unlink()


def _bad_config(shop: Storage) -> None:
    _overwrite(shop.paths.repository("shop") / "config", b"damaged" * 20)


def _no_keys(shop: Storage) -> None:
    for key in (shop.paths.repository("shop") / "keys").iterdir():
        key.unlink()


def _bad_key(shop: Storage) -> None:
    for key in (shop.paths.repository("shop") / "keys").iterdir():
        key.rename(key.with_name("0" * 64))


def _no_snapshots(shop: Storage) -> None:
    shutil.rmtree(shop.paths.repository("shop") / "snapshots")


def _a_pipe_for_a_config(shop: Storage) -> None:
    _no_config(shop)
    os.mkfifo(shop.paths.repository("shop") / "config")


def _a_link_for_snapshots(shop: Storage) -> None:
    _no_snapshots(shop)
    (shop.paths.repository("shop") / "snapshots").symlink_to(shop.paths.repository("blog") / "snapshots")


def _no_repository(shop: Storage) -> None:
    shutil.rmtree(shop.paths.repository("shop"))


@pytest.mark.parametrize(
    "damage",
    [
        *(_no_config, _bad_config, _no_keys, _bad_key, _no_snapshots),
        *(_a_pipe_for_a_config, _a_link_for_snapshots, _no_repository),
    ],
)
@pytest.mark.parametrize("cached", [True, False])
def test_a_damaged_repository_is_reported_and_the_others_answered(
    shop: Storage, damage: Callable[[Storage], None], cached: bool
) -> None:
    shop.copy("shop", "blog")
    expected = shop.by_restic("blog")
    damage(shop)
    if not cached:
        shutil.rmtree(shop.paths.cache)
    for _ in range(2):
        answer = shop.one("shop")
        assert answer["result"] == contract.UNREADABLE
        assert set(answer) == {"result", "error"}
        answer = shop.all()
        assert answer["result"] != 0
        assert answer["error"].startswith("shop: ")
        assert answer["backups"] == {"blog": expected}


@pytest.mark.parametrize("content", [b"", b"short", b"x" * 400])
@pytest.mark.parametrize("cached", [True, False])
def test_a_damaged_snapshot_is_reported_and_its_siblings_answered(shop: Storage, content: bytes, cached: bool) -> None:
    identity = shop.backup("shop", "spoilt c auto", time="2026-02-01 02:00:00")
    shop.one("shop")
    _overwrite(shop.snapshot("shop", identity), content)
    if not cached:
        shutil.rmtree(shop.paths.cache)
    for _ in range(2):
        answer = shop.one("shop")
        assert answer["result"] == contract.UNREADABLE
        assert identity[:8] in answer["error"]
        assert answer["backups"] == [f"2026-01-0{day}_020000_UTC" for day in (1, 2, 3)]


def test_a_snapshot_under_another_s_name_is_damage(shop: Storage) -> None:
    identity = shop.backup("shop", "spoilt c auto", time="2026-02-01 02:00:00")
    shop.snapshot("shop", identity).rename(shop.snapshot("shop", "0" * 64))
    assert "00000000 is damaged" in shop.one("shop")["error"]


def test_a_wrong_password_is_an_error(shop: Storage) -> None:
    shutil.rmtree(shop.paths.cache)
    passwords.write(shop.paths.passwords / "shop", "another-password-altogether")
    assert "opens no key" in shop.one("shop")["error"]


def test_an_overlarge_key_derivation_is_not_attempted(shop: Storage) -> None:
    """A client could write a key file that asks for all the node's memory."""
    shutil.rmtree(shop.paths.cache)
    keys = shop.paths.repository("shop") / "keys"
    (key,) = keys.iterdir()

    content = key.read_bytes().replace(b'"N": 16,', b'"N": 1073741824,')
    key.unlink()
    (keys / hashlib.sha256(content).hexdigest()).write_bytes(content)
    assert "opens no key" in shop.one("shop")["error"]
