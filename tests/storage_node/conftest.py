"""A node of its own for each test: real restic, real files and users; system services are stood in for."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from storage_node import install, mount, node, system
from storage_node import services as service_files
from storage_node.paths import Paths
from tests.storage_node import nodes
from tests.storage_node import storage as storage_of_tests
from tests.storage_node.pool import Pool

# What a machine that does other work as well needs for one example says nothing about the program.
settings.register_profile("node", deadline=None)
settings.load_profile("node")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.node)
            if "restic" in getattr(item, "fixturenames", ()):
                item.add_marker(pytest.mark.environments)


def _candidates() -> Iterator[Path]:
    named = os.environ.get("BACKUP_STORAGE_RESTIC")
    if named:
        yield Path(named)
    found = shutil.which("restic")
    if found:
        yield Path(found)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "backup-storage"
    yield from sorted(cache.glob("images/*/restic"), key=lambda path: path.stat().st_mtime, reverse=True)


@pytest.fixture(scope="session")
def restic_binary() -> Path:
    """A restic that is recent enough: named by the environment, on PATH, or built with the node image."""
    for candidate in _candidates():
        answer = subprocess.run([candidate, "version"], capture_output=True, text=True, check=False)
        words = answer.stdout.split()
        if answer.returncode == 0 and [int(n) for n in words[1].split(".")[:2]] >= [0, 17]:
            return candidate.resolve()
    pytest.skip("no restic 0.17 or newer: put one on PATH, name it in BACKUP_STORAGE_RESTIC, or run `make up` once")


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """A directory that the environments' users can pass through.

    pytest's own are closed to others, and a further pytest on the machine closes them again.
    """
    directory = Path(tempfile.mkdtemp(prefix="storage-node-test-"))
    directory.chmod(0o711)
    yield directory
    shutil.rmtree(directory)


@pytest.fixture
def restic(restic_binary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The real restic, found by the node program and runnable by the environments' users."""
    directory = tmp_path / "bin"
    directory.mkdir()
    shutil.copy(restic_binary, directory / "restic")
    monkeypatch.setattr(system, "PATH", f"{directory}:{system.PATH}")
    return directory / "restic"


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    """A node's root in a directory, its data directory as if mounted."""
    found = Paths(root=tmp_path / "node")
    found.data.mkdir(parents=True)
    return found


@pytest.fixture
def services(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> nodes.Services:
    """Stands in for what a test machine must not do to itself."""
    stand_in = nodes.Services(paths, system.run)
    monkeypatch.setattr(system, "run", stand_in.run)
    monkeypatch.setattr(mount, "mounted_at", lambda *_: mount.Mounted(device="0:0", kind="xfs"))
    return stand_in


@pytest.fixture
def configured(paths: Paths, services: nodes.Services) -> nodes.Services:
    """A node on which `configure` has been."""
    nodes.pack(paths.root / "program.pyz")
    install.install(paths, paths.root / "program.pyz")
    service_files.configure(paths, "standalone")
    node.store(paths, nodes.configure_spec(program=install.digest(paths.program)))
    return services


@pytest.fixture(scope="session")
def template(restic_binary: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with three backups, made once."""
    made = storage_of_tests.Storage(Paths(root=tmp_path_factory.mktemp("template")), restic_binary)
    made.make("shop")
    for day in storage_of_tests.DAYS:
        made.backup("shop", f"{storage_of_tests.name_of(day)} c0ffee{day} auto")
    return made.paths.repository("shop")


@pytest.fixture
def storage(paths: Paths, restic_binary: Path) -> storage_of_tests.Storage:
    """A storage without environments."""
    return storage_of_tests.Storage(paths, restic_binary)


@pytest.fixture
def shop(storage: storage_of_tests.Storage, template: Path) -> storage_of_tests.Storage:
    """A storage with one repository of three backups, which the catalogue has seen."""
    storage.put(template, "shop")
    assert storage.one("shop")["result"] == 0
    return storage


@pytest.fixture
def pool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pool]:
    with contextlib.ExitStack() as stack:
        yield Pool(tmp_path, monkeypatch, stack)
