"""Failed assertions of the tests' helpers say what they compared, as those of the tests themselves do."""

import pytest

pytest.register_assert_rewrite(
    *(f"tests.{part}" for part in ("aws", "components", "machines", "operate", "project", "storage_node"))
)
