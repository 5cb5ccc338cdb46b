"""The engine, for the tests on AWS."""

from tests.engine.conftest import engine_environment

__all__ = ["engine_environment"]
