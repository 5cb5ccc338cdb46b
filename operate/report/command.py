"""Runs a preview and reports on it."""

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

from operate.errors import OperateError
from operate.project import HOME
from operate.report import markdown
from operate.report.judgement import judge
from operate.report.preview import parse

SAFE = 0
FAILED = 1
DANGEROUS = 2


@dataclass(frozen=True)
class Report:
    """A report and the exit status that goes with it: SAFE, FAILED (the preview itself), or DANGEROUS."""

    text: str
    status: int


def report(stack: str, arguments: Sequence[str], *, limit: int, allowed: bool) -> Report:
    """Previews a stack with further ``arguments`` for the engine, and reports.

    ``allowed``: what is dangerous has been allowed, so it does not make the status DANGEROUS. Raises OperateError
    where the engine gave no preview at all.
    """
    if limit < markdown.LEAST_CHARACTERS:
        raise OperateError(f"A report needs {markdown.LEAST_CHARACTERS} characters or more; the limit is {limit}.")
    done = subprocess.run(
        ["pulumi", "preview", "--stack", stack, "--json", "--show-sames", "--non-interactive", *arguments],
        cwd=HOME,
        capture_output=True,
        text=True,
        check=False,
    )
    if not done.stdout.strip():
        raise OperateError(f"pulumi preview ended with status {done.returncode}:\n{done.stderr.strip()}")
    preview = parse(done.stdout)
    judgement = judge(preview)
    text = markdown.render(stack, preview, judgement, limit=limit, allowed=allowed)
    if judgement.errors:
        return Report(text, FAILED)
    return Report(text, DANGEROUS if judgement.dangerous and not allowed else SAFE)
