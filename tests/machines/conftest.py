"""Storages on real machines, made once for many tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.project import Project, connections

ENVIRONMENTS = {
    "shop": {"clients": ["10.77.0.101"], "readers": ["blog"]},
    "blog": {"clients": ["10.77.0.102"]},
}


@pytest.fixture(scope="session")
def standalone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A standalone storage as `make up` leaves it, in a directory with a space in its name.

    The first thing that any test does with it is to count the connections that `up` took.
    """
    root = tmp_path_factory.mktemp("machines") / "backup storage"
    project = Project(root, environments=ENVIRONMENTS, protect=False)
    try:
        project.make("up")
        with project.operator() as operator:
            # Without the one that asks.
            project.first_connections = connections(operator) - 1
        yield project
    finally:
        project.make("destroy")
        assert project.processes() == []


@pytest.fixture
def fresh_project(tmp_path: Path) -> Iterator[Project]:
    """A checkout without any storage; what a test leaves running in it is ended."""
    project = Project(tmp_path / "project", environments=ENVIRONMENTS, protect=False)
    try:
        yield project
    finally:
        project.make("destroy")
        assert project.processes() == []
