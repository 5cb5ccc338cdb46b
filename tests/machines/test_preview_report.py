"""The commands of the workflows against a real storage: reports, plans and drift, by the engine itself."""

from collections.abc import Iterator
from subprocess import CompletedProcess

import pytest

from operate.report.command import DANGEROUS, DRIFTED, SAFE
from tests.machines.conftest import ENVIRONMENTS
from tests.machines.test_secrets import passwords
from tests.project import Project

pytestmark = [pytest.mark.long, pytest.mark.machine, pytest.mark.standalone, pytest.mark.review]

DOCS = {"docs": {"clients": ["10.1.0.0/16"], "readers": ["shop"]}}


@pytest.fixture
def settings(standalone: Project) -> Iterator[None]:
    """Puts the settings back, without an `up`: a test that has made one brings the storage back too."""
    yield
    standalone.configure()


def make(project: Project, target: str, variables: str = "") -> CompletedProcess[str]:
    """Runs a target as a workflow does, stdout apart from stderr."""
    done = project.shell(f"make --no-print-directory {target} STACK={project.stack} {variables}", check=False)
    found = [secret[:4] for secret in passwords(project.outputs()) if secret in done.stdout + done.stderr]
    assert found == [], f"a password is in what `make {target}` printed"
    return done


def operate(project: Project, options: str = "") -> CompletedProcess[str]:
    """Runs what is behind the Makefile, which turns each exit status but 0 into 2."""
    return project.shell(f"python -m operate --stack {project.stack} preview-report {options}", check=False)


def test_a_stack_as_it_should_be_has_nothing_to_report(standalone: Project, settings: None) -> None:
    done = make(standalone, "preview-report")
    assert (done.returncode, done.stdout) == (SAFE, "### Preview of stack `test`\n\n**Nothing changes.**\n")


def test_an_added_environment_is_reported_by_its_settings(standalone: Project, settings: None) -> None:
    standalone.configure(environments={**ENVIRONMENTS, **DOCS})
    done = make(standalone, "preview-report")
    assert done.returncode == SAFE
    assert "- `docs`: new environment, clients 10.1.0.0/16; read access granted to shop" in done.stdout
    assert "Full diff: 2 to update," in done.stdout


def test_a_grown_disk_is_reported_with_both_sizes(standalone: Project, settings: None) -> None:
    standalone.configure(sizeGb=20)
    done = make(standalone, "preview-report")
    assert done.returncode == SAFE
    size = standalone.usual.get("sizeGb", 10)
    assert f"- `storage-1`: data disk {size} → 20 GB, online" in done.stdout


def test_a_withdrawn_environment_is_reported_and_loses_nothing(standalone: Project, settings: None) -> None:
    standalone.configure(environments={"shop": {"clients": ["10.77.0.101"]}})
    done = make(standalone, "preview-report")
    assert done.returncode == SAFE
    assert "- `blog`: export withdrawn, data kept" in done.stdout


@pytest.mark.parametrize(
    ("resource", "danger"),
    [
        ("Disk::storage-1-data", "its data disk is replaced by an empty one and deleted with the backups on it"),
        ("RandomPassword::environments-secret-root", "the secret root of all passwords is replaced"),
    ],
)
def test_what_holds_or_opens_the_backups_fails_the_check_until_it_is_allowed(
    standalone: Project, settings: None, resource: str, danger: str
) -> None:
    urn = standalone.shell(f"pulumi stack --stack test --show-urns | grep -o 'urn:.*:{resource}'").stdout.strip()
    done = operate(standalone, f"-- --replace '{urn}'")
    assert done.returncode == DANGEROUS
    assert danger in done.stdout
    assert operate(standalone, f"--allowed -- --replace '{urn}'").returncode == SAFE


def test_a_merge_does_what_was_reviewed_and_nothing_else(standalone: Project, settings: None) -> None:
    """Settings that moved on after the review are refused before anything is touched."""
    standalone.configure(environments={**ENVIRONMENTS, **DOCS})
    assert make(standalone, "preview-report", "PLAN=plan.json").returncode == SAFE
    plan = (standalone.root / "plan.json").read_text(encoding="utf-8")
    assert [secret[:4] for secret in passwords(standalone.outputs()) if secret in plan] == []

    unseen = {"unseen": {"clients": ["10.2.0.0/16"]}}
    standalone.configure(environments={**ENVIRONMENTS, **DOCS, **unseen})
    refused = make(standalone, "deploy", "PLAN=plan.json")
    assert refused.returncode != SAFE
    assert "violates plan" in refused.stdout + refused.stderr
    assert standalone.outputs()["environments"] == sorted(ENVIRONMENTS)

    standalone.configure(environments={**ENVIRONMENTS, **DOCS})
    assert make(standalone, "deploy", "PLAN=plan.json").returncode == SAFE
    assert standalone.outputs()["environments"] == sorted([*ENVIRONMENTS, "docs"])
    standalone.configure()
    standalone.make("up")


def test_the_nightly_look_finds_a_machine_that_is_off(standalone: Project, settings: None) -> None:
    calm = make(standalone, "drift-report")
    assert (calm.returncode, calm.stdout) == (SAFE, "### Drift of stack `test`\n\n**Nothing has drifted.**\n")
    for process in standalone.processes():
        if process.name().startswith("qemu-system"):
            process.kill()
            process.wait(timeout=30)
    try:
        found = make(standalone, "drift-report")
        assert found.returncode != SAFE
        assert "- machine storage-1 is off; `pulumi up` starts it" in found.stdout
        again = operate(standalone, "--drift")
        assert again.returncode == DRIFTED, again.stdout + again.stderr
    finally:
        standalone.make("up")
    assert make(standalone, "drift-report").returncode == SAFE
