"""Whatever the moment at which the `environments` step dies, a working password is left, and the next run mends it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from storage_node import environments, passwords
from storage_node.paths import Paths
from storage_node.restic import command, keys
from storage_node.restic.command import Repository
from tests.storage_node import interruption, nodes, quick_restic
from tests.storage_node.nodes import entry

OLD, NEW, OTHER, READER, READER_NEW = (word * 8 for word in ("old1", "new2", "oth3", "rea4", "rea5"))


class Scene:
    """A node whose state can be put back to how it was, to be interrupted again elsewhere."""

    def __init__(self, paths: Paths) -> None:
        self.paths = paths
        self.saved = paths.root.with_name("saved")

    def apply(self, **wanted: dict[str, object]) -> dict[str, object]:
        return environments.apply(self.paths, nodes.environments_spec(**wanted))

    def save(self) -> None:
        shutil.copytree(self.paths.root, self.saved, symlinks=True, copy_function=shutil.copy2)
        _copy_owners(self.paths.root, self.saved)

    def restore(self) -> None:
        shutil.rmtree(self.paths.root)
        shutil.copytree(self.saved, self.paths.root, symlinks=True)
        _copy_owners(self.saved, self.paths.root)

    def repository(self, name: str = "shop") -> Repository:
        path = self.paths.repository(name)
        return Repository(path, path.stat().st_uid)

    def opens(self, password: str, name: str = "shop") -> bool:
        return keys.find(keys.in_repository(self.repository(name)), password) is not None

    def labels(self, name: str = "shop") -> list[str]:
        return sorted(key.username for key in keys.in_repository(self.repository(name)) if key.ours)

    def stored(self, name: str = "shop") -> str | None:
        return passwords.read(self.paths.passwords / name)


def _copy_owners(source: Path, target: Path) -> None:
    for path in (source, *source.rglob("*")):
        status = path.lstat()

        os.chown(target / path.relative_to(source), status.st_uid, status.st_gid, follow_symlinks=False)


@pytest.fixture
def scene(paths: Paths, configured: nodes.Services, monkeypatch: pytest.MonkeyPatch) -> Scene:
    monkeypatch.setattr(command, "init", quick_restic.init)
    monkeypatch.setattr(command, "add_key", quick_restic.add_key)
    monkeypatch.setattr("storage_node.packages.restic_version", lambda _: "0.18.0")
    return Scene(paths)


def _interrupt(scene: Scene, act: Callable[[], object], check: Callable[[], None]) -> int:
    scene.save()
    count = interruption.everywhere(scene.restore, act, check)
    assert count > 3
    return count


def test_creation(scene: Scene) -> None:
    def check() -> None:
        if scene.paths.repository("shop").exists():
            assert scene.opens(NEW)
        scene.apply(shop=entry(NEW, blog=(READER, "10.77.0.102")))
        assert scene.opens(NEW)
        assert scene.opens(READER)
        assert scene.stored() == NEW
        assert scene.labels() == ["environment", "reader:blog"]
        assert sorted(p.name for p in scene.paths.data.iterdir()) == [".storage-node", "shop"]

    _interrupt(scene, lambda: scene.apply(shop=entry(NEW, blog=(READER, "10.77.0.102"))), check)


def test_rotation(scene: Scene) -> None:
    scene.apply(shop=entry(OLD))

    def check() -> None:
        assert scene.opens(scene.stored() or "")
        scene.apply(shop=entry(NEW))
        assert scene.opens(NEW)
        assert not scene.opens(OLD)
        assert scene.stored() == NEW
        assert scene.labels() == ["environment"]

    _interrupt(scene, lambda: scene.apply(shop=entry(NEW)), check)


def test_rotation_to_yet_another_password_after_an_interruption(scene: Scene) -> None:
    scene.apply(shop=entry(OLD))

    def check() -> None:
        scene.apply(shop=entry(OTHER))
        assert scene.opens(OTHER)
        assert not scene.opens(OLD)
        assert not scene.opens(NEW)

    _interrupt(scene, lambda: scene.apply(shop=entry(NEW)), check)


def test_rotation_taken_back_after_an_interruption(scene: Scene) -> None:
    scene.apply(shop=entry(OLD))

    def check() -> None:
        scene.apply(shop=entry(OLD))
        assert scene.opens(OLD)
        assert not scene.opens(NEW)
        assert scene.stored() == OLD

    _interrupt(scene, lambda: scene.apply(shop=entry(NEW)), check)


def test_a_reader_s_new_password(scene: Scene) -> None:
    scene.apply(shop=entry(OLD, blog=(READER, "10.77.0.102")))

    def check() -> None:
        assert scene.opens(OLD)
        scene.apply(shop=entry(OLD, blog=(READER_NEW, "10.77.0.102")))
        assert scene.opens(READER_NEW)
        assert not scene.opens(READER)

    _interrupt(scene, lambda: scene.apply(shop=entry(OLD, blog=(READER_NEW, "10.77.0.102"))), check)


def test_a_grant_taken_back(scene: Scene) -> None:
    scene.apply(shop=entry(OLD, blog=(READER, "10.77.0.102")))

    def check() -> None:
        scene.apply(shop=entry(OLD))
        assert not scene.opens(READER)
        assert passwords.readers(scene.paths, "shop") == []
        assert "10.77.0.102" not in scene.paths.exports.read_text()

    _interrupt(scene, lambda: scene.apply(shop=entry(OLD)), check)


def test_withdrawal(scene: Scene) -> None:
    scene.apply(shop=entry(OLD, blog=(READER, "10.77.0.102")), blog=entry(OTHER))

    def check() -> None:
        scene.apply(blog=entry(OTHER))
        assert passwords.active(scene.paths) == ["blog"]
        assert scene.opens(OLD)
        assert not scene.opens(READER)
        assert "/data/shop" not in scene.paths.exports.read_text()
        scene.apply(blog=entry(OTHER), shop=entry(NEW))
        assert scene.opens(NEW)

    _interrupt(scene, lambda: scene.apply(blog=entry(OTHER)), check)


def test_putting_back(scene: Scene) -> None:
    scene.apply(shop=entry(OLD))
    uid = scene.repository().uid
    scene.apply()

    def check() -> None:
        scene.apply(shop=entry(NEW))
        assert scene.opens(NEW)
        assert not scene.opens(OLD)
        assert passwords.withdrawn(scene.paths) == []
        assert scene.repository().uid == uid

    _interrupt(scene, lambda: scene.apply(shop=entry(NEW)), check)


def test_taking_over_a_repository_made_elsewhere(scene: Scene) -> None:
    path = scene.paths.repository("shop")
    path.mkdir(mode=0o700)
    quick_restic.init(Repository(path, 0), NEW)

    def check() -> None:
        scene.apply(shop=entry(NEW))
        assert scene.opens(NEW)
        assert scene.labels() == ["environment"]
        assert {p.stat().st_uid for p in (path, *path.rglob("*"))} == {scene.repository().uid}
        assert scene.repository().uid >= 200000

    _interrupt(scene, lambda: scene.apply(shop=entry(NEW)), check)
