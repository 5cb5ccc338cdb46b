"""The catalogue's answers against restic's own."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest

from storage_node import system
from storage_node.catalogue import contract, entry, through_restic
from storage_node.catalogue.environments import Catalogue
from tests.storage_node import quick_restic
from tests.storage_node.storage import Storage

pytestmark = pytest.mark.catalogue


@pytest.mark.parametrize("version", [1, 2])
def test_names_are_those_of_restic_s_own_tags_oldest_first(storage: Storage, version: int) -> None:
    storage.make("shop", version)
    storage.backup("shop", "third c3 manual", time="2026-01-31 02:00:00")
    storage.backup("shop", "first c1 auto", time="2026-01-29 02:00:00")
    storage.backup("shop", "second c2 auto", "also c2 auto", time="2026-01-30 02:00:00")
    storage.backup("shop", "not-the-add-on-s", time="2026-01-28 02:00:00")
    storage.backup("shop", time="2026-01-27 02:00:00")
    storage.backup("shop", "ünïcode☂ 'c;$(4)\" manual", time="2026-02-01 02:00:00")
    expected = ["first", "second", "also", "third", "ünïcode☂"]
    for _ in range(2):
        assert storage.one("shop") == {"result": 0, "backups": expected}
    assert storage.by_restic("shop") == expected
    assert [s.id for s in Catalogue(storage.paths).read("shop").snapshots()] == [
        s["id"] for s in sorted(json.loads(storage.restic("shop", "snapshots", "--json")), key=lambda s: s["time"])
    ]


def test_the_answers_are_the_contract_s_bytes(storage: Storage, capsys: pytest.CaptureFixture[str]) -> None:
    storage.make("b")
    storage.copy("b", "a")
    storage.backup("a", "2026-01-31_020000_UTC c0ffee auto")
    assert entry.run(["one"], storage.paths) == 0
    assert entry.run(["one", "a"], storage.paths) == 0
    assert entry.run(["one", "b"], storage.paths) == 0
    assert entry.run(["all"], storage.paths) == 0
    assert capsys.readouterr().out.splitlines() == [
        '{"result": 0, "envs": ["a", "b"]}',
        '{"result": 0, "backups": ["2026-01-31_020000_UTC"]}',
        '{"result": 0, "backups": []}',
        '{"result": 0, "envs": ["a", "b"], "backups": {"a": ["2026-01-31_020000_UTC"], "b": []}}',
    ]


@pytest.mark.parametrize("name", ["../etc", "a/b", "$(id)", "a b", "", "-x", ".new-a", "A", "ä", "a\n", "x" * 64])
def test_a_name_with_other_characters_is_refused(storage: Storage, name: str) -> None:
    answer = contract.one(Catalogue(storage.paths), name)
    assert answer["result"] == contract.BAD_NAME
    assert set(answer) == {"result", "error"}


def test_an_unknown_environment_is_an_error(shop: Storage) -> None:
    assert shop.one("blog") == {"result": 2, "error": "There is no environment blog on this storage."}


def test_a_repository_without_a_password_file_is_no_environment(shop: Storage) -> None:
    shop.copy("shop", "blog")
    (shop.paths.passwords / "blog").unlink()
    assert shop.all()["envs"] == ["shop"]
    assert shop.one("blog")["result"] == 2


def test_new_and_forgotten_snapshots_are_seen_at_once(shop: Storage) -> None:
    shop.backup("shop", "new c auto", time="2026-02-01 02:00:00")
    assert shop.one("shop")["backups"] == shop.by_restic("shop")
    shop.restic("shop", "forget", "--keep-last", "2", "--prune", "--group-by", "")
    assert shop.one("shop")["backups"] == shop.by_restic("shop") == ["2026-01-03_020000_UTC", "new"]


def test_a_tag_that_restic_changes_is_seen_at_once(shop: Storage) -> None:
    shop.restic("shop", "tag", "--set", "renamed c manual", "latest")
    assert shop.one("shop")["backups"] == shop.by_restic("shop")
    assert "renamed" in shop.one("shop")["backups"]


def test_thousands_of_snapshots_in_one_repository(shop: Storage) -> None:
    repository = shop.paths.repository("shop")
    master = shop.master("shop")

    for i in range(3000):
        value = {"time": f"2025-01-01T00:00:00.{i:09d}Z", "tags": [f"b{i} c auto"], "paths": ["/"], "tree": "0" * 64}
        sealed = quick_restic.seal(master, json.dumps(value).encode())
        (repository / "snapshots" / hashlib.sha256(sealed).hexdigest()).write_bytes(sealed)
    for _ in range(2):
        names = shop.one("shop")["backups"]
        assert names[:3000] == [f"b{i}" for i in range(3000)]
        assert len(names) == 3003


def test_restic_agrees_field_by_field(shop: Storage, restic: Path) -> None:
    os.chown(shop.paths.repository("shop"), 0, 0)
    ours = Catalogue(shop.paths).read("shop").snapshots()
    assert through_restic.snapshots(shop.paths, "shop") == ours
    assert ours[0].size
    assert str(restic.parent) in system.PATH
