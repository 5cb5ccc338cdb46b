"""The engine and an account for the tests on AWS."""

from collections.abc import Iterator

import pytest

from tests.aws.cloud import Cloud, running
from tests.engine.conftest import engine_environment
from tests.engine.ssh_server import Loop

__all__ = ["engine_environment"]


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """An account, and everything that asks AWS led there."""
    with running(tmp_path_factory.mktemp("cloud")) as cloud, pytest.MonkeyPatch.context() as monkeypatch:
        for name, value in cloud.environment.items():
            monkeypatch.setenv(name, value)
        yield cloud


@pytest.fixture(scope="module")
def loop() -> Iterator[Loop]:
    """Where the SSH servers live."""
    loop = Loop()
    yield loop
    loop.stop()
