"""The workflows: sound by actionlint, pinned, least rights, and made of commands that exist here."""

import fcntl
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.project import SOURCE

pytestmark = pytest.mark.review

WORKFLOWS = sorted((SOURCE / ".github/workflows").glob("*.yml"))
ACTIONLINT = "v1.7.12"
TOOLS = Path.home() / ".cache/backup-storage/tools"

#: What each job may do with the token of its run; everything else is refused to it.
RIGHTS = {
    "test/test": {"contents": "read"},
    "preview/stacks": {"contents": "read"},
    "preview/preview": {"contents": "read", "id-token": "write"},
    "preview/review": {"contents": "read", "pull-requests": "write"},
    "deploy/stacks": {"contents": "read"},
    "deploy/deploy": {"actions": "read", "contents": "read", "id-token": "write", "pull-requests": "read"},
    "drift/stacks": {"contents": "read"},
    "drift/drift": {"contents": "read", "id-token": "write"},
    "drift/issue": {"contents": "read", "issues": "write"},
}


def workflow(path: Path) -> dict[str, Any]:
    """A workflow's content; YAML 1.1 reads its `on` as true."""
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    return {"on" if key is True else key: value for key, value in content.items()}


def jobs() -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    for path in WORKFLOWS:
        content = workflow(path)
        for name, job in content["jobs"].items():
            yield f"{path.stem}/{name}", content, job


def steps() -> Iterator[tuple[str, dict[str, Any]]]:
    for name, _, job in jobs():
        for step in job["steps"]:
            yield name, step


def actionlint() -> Path:
    """The pinned actionlint, installed from its Go module where it is missing."""
    directory = TOOLS / f"actionlint-{ACTIONLINT.removeprefix('v')}"
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "install.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (directory / "actionlint").exists():
            subprocess.run(
                [go(), "install", f"github.com/rhysd/actionlint/cmd/actionlint@{ACTIONLINT}"],
                env={"GOBIN": str(directory), "HOME": str(Path.home()), "PATH": "/usr/bin:/bin", "GOFLAGS": ""},
                check=True,
            )
    return directory / "actionlint"


def go() -> str:
    from engine.build import find_go  # noqa: PLC0415 (only where actionlint is missing)

    return find_go()


def test_actionlint_finds_nothing() -> None:
    done = subprocess.run(
        [actionlint(), "-config-file", ".github/actionlint.yaml", "-shellcheck=", "-pyflakes=", *map(str, WORKFLOWS)],
        cwd=SOURCE,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout + done.stderr, done.returncode) == ("", 0)


def test_the_four_workflows_are_there() -> None:
    assert [path.stem for path in WORKFLOWS] == ["deploy", "drift", "preview", "test"]


def test_every_action_is_pinned_by_its_full_commit_and_says_its_version() -> None:
    lines = [line for path in WORKFLOWS for line in path.read_text(encoding="utf-8").splitlines() if "uses:" in line]
    assert lines
    for line in lines:
        assert re.fullmatch(r"\s*(- )?uses: [\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line), line


def test_an_action_has_one_version_everywhere() -> None:
    used = {step["uses"] for _, step in steps() if "uses" in step}
    assert len(used) == len({action.split("@")[0] for action in used})


def test_every_make_target_that_a_workflow_runs_exists() -> None:
    makefile = (SOURCE / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z][a-z-]*):", makefile, re.MULTILINE))
    ran = [target for _, step in steps() for target in re.findall(r"\bmake ([a-z][a-z-]*)", step.get("run", ""))]
    assert set(ran) >= {"test", "preview-report", "deploy", "drift-report", "review-comment", "drift-issue"}
    assert set(ran) <= targets


def test_every_variable_that_a_workflow_gives_to_make_is_read_there() -> None:
    makefile = (SOURCE / "Makefile").read_text(encoding="utf-8")
    for name, step in steps():
        for line in step.get("run", "").splitlines():
            for variable in re.findall(r"\b([A-Z]+)=", line.partition("make ")[2]):
                assert f"$({variable})" in makefile, f"{name}: {line}"


def test_each_job_has_the_rights_that_it_needs_and_no_more() -> None:
    for name, content, job in jobs():
        assert content.get("permissions") in ({}, {"contents": "read"}), name
        assert job.get("permissions", content["permissions"]) == RIGHTS[name], name


def test_no_job_reaches_both_the_cloud_and_what_people_write() -> None:
    for name, _, job in jobs():
        rights = job.get("permissions", {})
        writes = {right for right, level in rights.items() if level == "write"}
        assert len(writes) <= 1, name


def test_no_text_of_a_pull_request_is_put_into_a_shell() -> None:
    for name, step in steps():
        assert "${{" not in step.get("run", ""), f"{name}: pass it through env"


def test_no_workflow_gives_secrets_or_rights_to_a_fork() -> None:
    for path in WORKFLOWS:
        text = path.read_text(encoding="utf-8")
        assert "pull_request_target" not in text
        assert "workflow_run:" not in text
        assert "secrets." not in text
    preview = workflow(SOURCE / ".github/workflows/preview.yml")["jobs"]
    assert preview["stacks"]["if"] == "github.event.pull_request.head.repo.full_name == github.repository"
    assert preview["preview"]["needs"] == "stacks"


def test_one_run_at_a_time_works_on_a_stack_and_none_that_waits_is_dropped() -> None:
    for name, _, job in jobs():
        if "id-token" in job.get("permissions", {}):
            wanted = {"group": "stack-${{ matrix.stack }}", "cancel-in-progress": False, "queue": "max"}
            assert job["concurrency"] == wanted, name


def test_no_checkout_leaves_its_token_behind_and_every_job_ends() -> None:
    for name, step in steps():
        if "actions/checkout" in step.get("uses", ""):
            assert step["with"]["persist-credentials"] is False, name
    for name, _, job in jobs():
        assert job["timeout-minutes"] <= 180, name
