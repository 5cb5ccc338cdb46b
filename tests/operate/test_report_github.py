"""Comments, issues and plans on GitHub, against a `gh` that keeps everything in one file."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from operate.report.github import COMMENT_MARKER, main

pytestmark = pytest.mark.review

#: Speaks as much of `gh api` and `gh run download` as is used, over the JSON of `world`.
_GH = """#!{python}
import json, pathlib, sys
file = pathlib.Path({world!r})
world = json.loads(file.read_text())
words = sys.argv[1:]
world["calls"].append(words)
if world.get("fails"):
    sys.exit("gh: Resource not accessible by integration (HTTP 403)")
if words[:2] == ["run", "download"]:
    pathlib.Path(words[words.index("--dir") + 1], "plan.json").write_text("plan of run " + words[2])
elif "--method" in words:
    method, path = words[2], words[3].split("?")[0]
    if method == "GET":
        print(json.dumps(world[path]))
    else:
        body = json.load(sys.stdin)
        if method == "POST":
            entry = {{"id": 77, "number": 7, "user": {{"login": "github-actions[bot]"}}, **body}}
            world.setdefault(path, []).append(entry)
        else:
            key, wanted = "id" if "comments" in path else "number", int(path.rsplit("/", 1)[1])
            entries = [e for es in world.values() if isinstance(es, list) for e in es if isinstance(e, dict)]
            (entry,) = [e for e in entries if e.get(key) == wanted]
            entry.update(body)
        print(json.dumps(entry))
else:
    print(json.dumps([world.get(words[-1].split("?")[0], [])]))
file.write_text(json.dumps(world))
"""

COMMENTS = "repos/{owner}/{repo}/issues/5/comments"
ISSUES = "repos/{owner}/{repo}/issues"
ARTIFACTS = "repos/{owner}/{repo}/actions/artifacts"


class World:
    """What is on GitHub."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def set(self, **content: Any) -> None:
        self.file.write_text(json.dumps({"calls": [], **content}), encoding="utf-8")

    def __getitem__(self, name: str) -> Any:
        return json.loads(self.file.read_text(encoding="utf-8"))[name]


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    made = World(tmp_path / "world.json")
    made.set()
    program = tmp_path / "gh"
    program.write_text(_GH.format(python=sys.executable, world=str(made.file)), encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    return made


@pytest.fixture
def reports(tmp_path: Path) -> Path:
    directory = tmp_path / "reports"
    directory.mkdir()
    (directory / "a.md").write_text("### Preview of stack `a`\n", encoding="utf-8")
    (directory / "b.md").write_text("### Preview of stack `b`\n", encoding="utf-8")
    return directory


def test_the_reports_of_all_stacks_are_one_comment(world: World, reports: Path) -> None:
    assert main(["comment", "5", str(reports)]) == 0
    (comment,) = world[COMMENTS]
    assert comment["body"] == f"{COMMENT_MARKER}\n### Preview of stack `a`\n### Preview of stack `b`"


def test_the_next_push_edits_that_comment(world: World, reports: Path) -> None:
    assert main(["comment", "5", str(reports)]) == 0
    (reports / "a.md").write_text("changed", encoding="utf-8")
    (reports / "b.md").unlink()
    assert main(["comment", "5", str(reports)]) == 0
    (comment,) = world[COMMENTS]
    assert comment["body"] == f"{COMMENT_MARKER}\nchanged"


def test_a_comment_of_somebody_else_is_left_alone(world: World, reports: Path) -> None:
    theirs = {"id": 1, "user": {"login": "mallory"}, "body": COMMENT_MARKER}
    world.set(**{COMMENTS: [theirs]})
    assert main(["comment", "5", str(reports)]) == 0
    assert world[COMMENTS][0] == theirs
    assert len(world[COMMENTS]) == 2


def test_a_pull_request_without_stacks_gets_no_comment_and_loses_an_outdated_one(world: World, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    assert main(["comment", "5", str(empty)]) == 0
    assert [call for call in world["calls"] if "--method" in call] == []
    world.set(**{COMMENTS: [{"id": 9, "user": {"login": "github-actions[bot]"}, "body": f"{COMMENT_MARKER}\nold"}]})
    assert main(["comment", "5", str(empty)]) == 0
    assert world[COMMENTS][0]["body"] == f"{COMMENT_MARKER}\nNo stack is changed by this pull request."


def test_a_preview_that_never_began_is_said_to_have_failed(world: World, reports: Path) -> None:
    (reports / "a.md").write_text("", encoding="utf-8")
    assert main(["comment", "5", str(reports)]) == 0
    assert "### Stack `a`\n\n**There is no report" in world[COMMENTS][0]["body"]


def test_a_comment_is_never_longer_than_github_takes(world: World, reports: Path) -> None:
    (reports / "a.md").write_text("x" * 70_000, encoding="utf-8")
    assert main(["comment", "5", str(reports)]) == 0
    assert len(world[COMMENTS][0]["body"]) == 65_536


def test_drift_has_one_open_issue_a_stack(world: World, reports: Path) -> None:
    assert main(["issue", "prod", str(reports / "a.md")]) == 0
    assert main(["issue", "prod", str(reports / "b.md")]) == 0
    (issue,) = world[ISSUES]
    assert issue["title"] == "Stack prod has drifted"
    assert "stack `b`" in issue["body"]


def pull(sha: str = "abc") -> dict[str, Any]:
    return {"number": 5, "merged_at": "2026-01-01T00:00:00Z", "head": {"sha": sha}}


def artifact(number: int, *, expired: bool = False, repository: int = 1, sha: str = "abc") -> dict[str, Any]:
    run = {"id": 100 + number, "repository_id": 1, "head_repository_id": repository, "head_sha": sha}
    return {"id": number, "expired": expired, "workflow_run": run}


def test_the_plan_of_the_last_push_is_fetched(world: World, tmp_path: Path) -> None:
    commits = "repos/{owner}/{repo}/commits/cafe/pulls"
    world.set(**{commits: [pull()], ARTIFACTS: {"artifacts": [artifact(2), artifact(3), artifact(1)]}})
    assert main(["plan", "prod", "cafe", str(tmp_path / "plan.json")]) == 0
    assert (tmp_path / "plan.json").read_text(encoding="utf-8") == "plan of run 103"
    assert any("artifacts?name=plan-prod-abc" in word for call in world["calls"] for word in call)


@pytest.mark.parametrize(
    "artifacts", [[], [artifact(1, expired=True)], [artifact(1, repository=2)], [artifact(1, sha="other")]]
)
def test_without_a_plan_of_that_very_pull_request_nothing_is_deployed(
    world: World, tmp_path: Path, artifacts: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    world.set(**{"repos/{owner}/{repo}/commits/cafe/pulls": [pull()], ARTIFACTS: {"artifacts": artifacts}})
    assert main(["plan", "prod", "cafe", str(tmp_path / "plan.json")]) == 1
    assert "There is no reviewed plan of stack prod for commit cafe" in capsys.readouterr().err
    assert not (tmp_path / "plan.json").exists()


def test_what_github_refuses_is_said(world: World, reports: Path, capsys: pytest.CaptureFixture[str]) -> None:
    world.set(fails=True)
    assert main(["comment", "5", str(reports)]) == 1
    assert "HTTP 403" in capsys.readouterr().err
