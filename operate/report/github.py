"""``python3 -m operate.report.github``: publishes reports on GitHub and fetches reviewed plans, through ``gh``.

Runs on the standard library alone. ``gh`` finds its token in GH_TOKEN and the repository in GH_REPO.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

#: By these a comment or an issue of this module is found again. Only what the workflows' own user wrote counts.
COMMENT_MARKER = "<!-- backup-storage: preview -->"
DRIFT_MARKER = "<!-- backup-storage: drift of {} -->"
AUTHOR = "github-actions[bot]"

#: GitHub takes no more in one comment or issue.
_MOST_CHARACTERS = 65_536

NO_REPORT = "### Stack `{}`\n\n**There is no report: the engine failed before it began. The run's log says why.**\n"
NOTHING = "No stack is changed by this pull request."


class PublishingError(Exception):
    """Something that GitHub refused or does not have; one clear sentence or a few."""


def comment(pull: str, reports: Path) -> str:
    """Makes or edits the one comment of a pull request; says which. Where nothing was reported, makes none."""
    texts = [_text(path) for path in sorted(reports.rglob("*.md"))]
    body = "\n".join([COMMENT_MARKER, *(texts or [NOTHING])])
    place = f"repos/{{owner}}/{{repo}}/issues/{pull}/comments"
    present = _own(_pages(place), COMMENT_MARKER)
    if present:
        _api("PATCH", f"repos/{{owner}}/{{repo}}/issues/comments/{present[0]['id']}", {"body": _cut(body)})
        return "The comment has been edited."
    if not texts:
        return "Nothing to say."
    _api("POST", place, {"body": _cut(body)})
    return "A comment has been written."


def issue(stack: str, report: Path) -> str:
    """Opens an issue on a stack's drift, or edits the open one; says which."""
    marker = DRIFT_MARKER.format(stack)
    content = {"title": f"Stack {stack} has drifted", "body": _cut(f"{marker}\n{_text(report)}")}
    place = "repos/{owner}/{repo}/issues"
    present = _own(_pages(f"{place}?state=open"), marker)
    if present:
        _api("PATCH", f"{place}/{present[0]['number']}", content)
        return f"Issue {present[0]['number']} has been edited."
    return f"Issue {_api('POST', place, content)['number']} has been opened."


def plan(stack: str, commit: str, target: Path) -> str:
    """Fetches the plan that was reviewed before ``commit`` was merged; says of which pull request it is.

    Raises PublishingError where there is none: the commit was pushed past review, or the plan has expired.
    """
    pulls = [one for one in _pages(f"repos/{{owner}}/{{repo}}/commits/{commit}/pulls") if one["merged_at"]]
    for pull in pulls:
        name = f"plan-{stack}-{pull['head']['sha']}"
        found = _api("GET", f"repos/{{owner}}/{{repo}}/actions/artifacts?name={name}")["artifacts"]
        usable = [artifact for artifact in found if not artifact["expired"] and _ours(artifact["workflow_run"], pull)]
        if not usable:
            continue
        newest = max(usable, key=lambda artifact: int(artifact["id"]))
        with tempfile.TemporaryDirectory() as directory:
            run = str(newest["workflow_run"]["id"])
            _gh("run", "download", run, "--name", name, "--dir", directory)
            (file,) = Path(directory).iterdir()
            target.write_bytes(file.read_bytes())
        return f"The plan is that of pull request {pull['number']}."
    raise PublishingError(
        f"There is no reviewed plan of stack {stack} for commit {commit[:12]}: it was pushed without a pull request, "
        "the pull request came from a fork, or the plan has expired. Open a pull request from a branch of this "
        "repository and merge it soon after its preview."
    )


def _ours(run: Mapping[str, Any], pull: Mapping[str, Any]) -> bool:
    """Whether a run was one of this very pull request: a fork's run may give its artifacts any name."""
    return bool(run["head_repository_id"] == run["repository_id"] and run["head_sha"] == pull["head"]["sha"])


def _text(report: Path) -> str:
    return report.read_text(encoding="utf-8").strip() or NO_REPORT.format(report.stem)


def _own(entries: Sequence[Any], marker: str) -> list[Any]:
    return [one for one in entries if one["user"]["login"] == AUTHOR and (one["body"] or "").startswith(marker)]


def _cut(body: str) -> str:
    """Reports leave room for each other; this is for what nobody foresaw."""
    note = "\n\n… cut off: GitHub takes no longer text."
    return body if len(body) <= _MOST_CHARACTERS else body[: _MOST_CHARACTERS - len(note)] + note


def _pages(path: str) -> list[Any]:
    pages = json.loads(_gh("api", "--paginate", "--slurp", path))
    return [entry for page in pages for entry in page]


def _api(method: str, path: str, content: dict[str, Any] | None = None) -> Any:
    arguments = ["api", "--method", method, path]
    if content is None:
        return json.loads(_gh(*arguments))
    return json.loads(_gh(*arguments, "--input", "-", stdin=json.dumps(content)))


def _gh(*arguments: str, stdin: str = "") -> str:
    done = subprocess.run(["gh", *arguments], input=stdin, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise PublishingError(f"gh {' '.join(arguments[:4])} failed: {done.stderr.strip()}")
    return done.stdout


def main(arguments: Sequence[str]) -> int:
    """Runs one of ``comment PULL DIRECTORY``, ``issue STACK FILE`` and ``plan STACK COMMIT FILE``."""
    try:
        match arguments:
            case ["comment", pull, reports] if pull.isdigit():
                print(comment(pull, Path(reports)))
            case ["issue", stack, report]:
                print(issue(stack, Path(report)))
            case ["plan", stack, commit, target]:
                print(plan(stack, commit, Path(target)))
            case _:
                print("github: say comment PULL DIRECTORY, issue STACK FILE or plan STACK COMMIT FILE", file=sys.stderr)
                return 2
    except (PublishingError, OSError) as error:
        print(f"github: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
