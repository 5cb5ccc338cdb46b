"""State backend and passphrase: what is made for the user, and what the user has chosen."""

from pathlib import Path

import pytest

from operate import project
from operate.errors import OperateError

pytestmark = pytest.mark.operate


@pytest.fixture(autouse=True)
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout and a home of the test's own, and nothing of Pulumi in the environment."""
    for name in ("PULUMI_BACKEND_URL", "PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE", "PULUMI_HOME"):
        monkeypatch.delenv(name, raising=False)
    home = tmp_path / "a checkout"
    home.mkdir()
    (home / "Pulumi.yaml").write_text("name: backup-storage\n", encoding="utf-8")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(project, "HOME", home)
    monkeypatch.setattr(project, "STATE", home / ".state")
    monkeypatch.setattr(project, "PASSPHRASE", home / ".state/passphrase")
    return home


def test_state_is_kept_in_the_checkout_by_default(checkout: Path) -> None:
    assert project.environment() == {
        "PULUMI_BACKEND_URL": f"file://{checkout}/.state/pulumi",
        "PULUMI_CONFIG_PASSPHRASE_FILE": f"{checkout}/.state/passphrase",
    }


def test_a_backend_in_the_environment_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULUMI_BACKEND_URL", "s3://bucket")
    assert "PULUMI_BACKEND_URL" not in project.environment()


def test_a_backend_of_pulumi_login_wins(tmp_path: Path) -> None:
    (tmp_path / ".pulumi").mkdir()
    (tmp_path / ".pulumi/credentials.json").write_text('{"current": "https://api.example"}', encoding="utf-8")
    assert "PULUMI_BACKEND_URL" not in project.environment()


def test_a_backend_in_the_project_file_wins(checkout: Path) -> None:
    (checkout / "Pulumi.yaml").write_text("name: x\nbackend:\n  url: s3://bucket\n", encoding="utf-8")
    assert "PULUMI_BACKEND_URL" not in project.environment()


def test_a_passphrase_of_the_users_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE_FILE", "/elsewhere")
    project.ensure_passphrase("dev")
    assert not project.PASSPHRASE.exists()


def test_a_shell_that_activated_the_checkout_before_it_had_a_passphrase_gets_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE_FILE", project.environment()["PULUMI_CONFIG_PASSPHRASE_FILE"])
    project.ensure_passphrase("dev")
    assert project.PASSPHRASE.exists()


def test_a_passphrase_is_made_once_and_only_for_its_owner() -> None:
    project.ensure_passphrase("dev")
    made = project.PASSPHRASE.read_text(encoding="utf-8")
    project.ensure_passphrase("dev")
    assert project.PASSPHRASE.read_text(encoding="utf-8") == made
    assert len(made.strip()) >= 40
    assert project.PASSPHRASE.stat().st_mode & 0o777 == 0o600


def test_no_new_passphrase_is_made_for_a_stack_that_is_encrypted_with_another(checkout: Path) -> None:
    (checkout / "Pulumi.prod.yaml").write_text("encryptionsalt: v1:x\n", encoding="utf-8")
    with pytest.raises(OperateError, match=r"Pulumi\.prod\.yaml is encrypted with a passphrase that this checkout"):
        project.ensure_passphrase("prod")
    assert not project.PASSPHRASE.exists()


def test_the_platform_is_read_from_the_stacks_settings(checkout: Path) -> None:
    assert project.platform("dev") == "local"
    (checkout / "Pulumi.dev.yaml").write_text("config: {backup-storage:platform: aws}\n", encoding="utf-8")
    assert project.platform("dev") == "aws"


def test_a_broken_settings_file_is_named(checkout: Path) -> None:
    (checkout / "Pulumi.dev.yaml").write_text("config: [\n", encoding="utf-8")
    with pytest.raises(OperateError, match=r"Pulumi\.dev\.yaml is no valid YAML"):
        project.platform("dev")
