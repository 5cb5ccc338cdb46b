"""The catalogue while clients write and others ask."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from storage_node.catalogue import cache, derivation, listing
from storage_node.restic import keys
from tests.storage_node.storage import Storage

pytestmark = pytest.mark.catalogue


def test_two_at_once_answer_alike(shop: Storage) -> None:
    expected = shop.all()
    answers: list[dict[str, Any]] = []

    def ask() -> None:
        for _ in range(20):
            cache.forget(shop.paths, "shop")
            answers.append(shop.all())

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 80
    assert all(answer == expected for answer in answers)


def test_a_snapshot_that_is_renamed_while_it_is_listed_is_not_missed(
    shop: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `restic tag` does: the new file appears behind the reader's place, the old one goes before it is reached."""
    directory = shop.paths.repository("shop") / "snapshots"
    original = listing._change_times
    moved: list[str] = []

    def disturbed(descriptor: int) -> dict[str, int]:
        found = original(descriptor)
        if not moved:
            moved.append(next(iter(found)))
            (directory / moved[0]).rename(directory.parent / "aside")
            (directory.parent / "aside").rename(directory / moved[0])
            del found[moved[0]]
        return found

    monkeypatch.setattr(listing, "_change_times", disturbed)
    assert len(shop.one("shop")["backups"]) == 3
    assert moved


def test_while_a_client_backs_up_and_forgets_no_answer_is_wrong(shop: Storage) -> None:
    """Asked again and again: each answer is one that restic's own order of steps allows."""
    done = threading.Event()
    wrong: list[Any] = []

    def ask() -> None:
        while not done.is_set():
            answer = shop.one("shop")
            if answer["result"] or not {"2026-01-02_020000_UTC", "2026-01-03_020000_UTC"} <= set(answer["backups"]):
                wrong.append(answer)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        for i in range(4):
            identity = shop.backup("shop", f"extra{i} c auto", time="2025-12-01 02:00:00")
            assert f"extra{i}" in shop.one("shop")["backups"]
            shop.restic("shop", "forget", "--prune", identity)
            assert f"extra{i}" not in shop.one("shop")["backups"]
    finally:
        done.set()
        thread.join()
    assert not wrong
    assert not any((shop.paths.repository("shop") / "locks").iterdir())


def test_two_keys_as_restic_makes_them_are_derived_side_by_side_and_a_third_waits() -> None:
    usual = keys.KeyFile("id", "", "", n=32768, r=8, p=1, salt=b"", data=b"")
    budget, release = derivation.Budget(), threading.Event()
    begun = [threading.Event(), threading.Event()]

    def derive(number: int) -> None:
        with budget.take(usual.memory):
            begun[number].set()
            release.wait(10)

    with ThreadPoolExecutor(max_workers=2) as pool:
        with budget.take(usual.memory):
            pool.submit(derive, 0)
            assert begun[0].wait(10)
            pool.submit(derive, 1)
            assert not begun[1].wait(0.2)
            release.set()
        assert begun[1].wait(10)
