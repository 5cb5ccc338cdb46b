"""Data is deleted only when it is named twice, and only what is named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from storage_node import commands, environments, passwords
from storage_node.catalogue import cache
from storage_node.paths import Paths
from storage_node.restic import command
from tests.storage_node import interruption, nodes, quick_restic
from tests.storage_node.nodes import entry, environments_spec, password


@pytest.fixture
def withdrawn(paths: Paths, configured: nodes.Services, monkeypatch: pytest.MonkeyPatch) -> Paths:
    """A node with the environment blog in use, and shop withdrawn with its data."""
    monkeypatch.setattr(command, "init", quick_restic.init)
    monkeypatch.setattr(command, "add_key", quick_restic.add_key)
    monkeypatch.setattr("storage_node.packages.restic_version", lambda _: "0.18.0")
    blog = entry(password())
    environments.apply(paths, environments_spec(blog=blog, shop=entry(password())))
    environments.apply(paths, environments_spec(blog=blog))
    return paths


def _files(paths: Paths) -> set[Path]:
    roots = (paths.data, paths.settings, paths.cache)
    return {path for root in roots for path in root.rglob("*") if path != paths.lock}


def test_once_is_not_enough_and_says_what_would_go(withdrawn: Paths, capsys: pytest.CaptureFixture[str]) -> None:
    before = _files(withdrawn)
    assert commands.run(["purge", "shop"], withdrawn) == 2
    assert commands.run(["purge", "shop", "--confirm", "blog"], withdrawn) == 2
    words = capsys.readouterr().err
    assert f"This would delete {withdrawn.repository('shop')} for good" in words
    assert "--confirm shop" in words
    assert _files(withdrawn) == before


def test_only_what_is_named_goes(withdrawn: Paths, capsys: pytest.CaptureFixture[str]) -> None:
    before = _files(withdrawn)
    assert commands.run(["purge", "shop", "--confirm", "shop"], withdrawn) == 0
    assert json.loads(capsys.readouterr().out)["purged"] == "shop"
    gone = before - _files(withdrawn)
    assert {path.name for path in gone if path.parent in (withdrawn.data, withdrawn.withdrawn)} == {"shop"}
    assert all("shop" in path.parts for path in gone)
    assert passwords.active(withdrawn) == ["blog"]


@pytest.mark.parametrize("name", ["blog", "nope", "../etc", ".storage-node", ""])
def test_what_is_in_use_unknown_or_no_name_stays(withdrawn: Paths, name: str) -> None:
    before = _files(withdrawn)
    assert commands.run(["purge", name, "--confirm", name], withdrawn) == 1
    assert _files(withdrawn) == before


def test_a_user_number_never_comes_back(withdrawn: Paths) -> None:
    gone = withdrawn.repository("shop").stat().st_uid
    assert commands.run(["purge", "shop", "--confirm", "shop"], withdrawn) == 0
    environments.apply(withdrawn, environments_spec(shop=entry(password()), new=entry(password())))
    assert gone not in {withdrawn.repository(name).stat().st_uid for name in ("shop", "new")}


def test_cut_off_anywhere_the_next_run_ends_it(withdrawn: Paths) -> None:
    words = environments_spec(blog=entry(password()))

    def prepare() -> None:
        environments.apply(withdrawn, environments_spec(shop=entry("the-password-of-the-shop"), **_blog))
        environments.apply(withdrawn, environments_spec(**_blog))

    _blog = {"blog": {"password": words.environments["blog"].password, "clients": ["10.0.0.1"]}}

    def check() -> None:
        commands.run(["purge", "shop", "--confirm", "shop"], withdrawn)
        environments.apply(withdrawn, environments_spec(**_blog))
        assert not [path for path in _files(withdrawn) if "shop" in path.name]

    run = lambda: commands.run(["purge", "shop", "--confirm", "shop"], withdrawn)  # noqa: E731
    assert interruption.everywhere(prepare, run, check) > 5
    assert not cache.file(withdrawn, "shop").exists()
