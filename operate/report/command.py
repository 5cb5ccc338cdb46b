"""Runs a preview and reports on it."""

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

from operate.errors import OperateError
from operate.project import HOME
from operate.report import markdown
from operate.report.frame import LEAST_CHARACTERS, Frame
from operate.report.judgement import Judgement, judge
from operate.report.preview import Preview, parse

SAFE = 0
FAILED = 1
DANGEROUS = 2
DRIFTED = 3


@dataclass(frozen=True)
class Report:
    """A report and the exit status that goes with it: SAFE, FAILED (the preview itself), DANGEROUS or DRIFTED."""

    text: str
    status: int


def report(frame: Frame, arguments: Sequence[str]) -> Report:
    """Previews a stack with further ``arguments`` for the engine, and reports.

    A drift report refreshes first and fails (DRIFTED) where an `up` would do anything. Raises OperateError where the
    engine gave no preview at all.
    """
    if frame.limit < LEAST_CHARACTERS:
        raise OperateError(f"A report needs {LEAST_CHARACTERS} characters or more; the limit is {frame.limit}.")
    line = ["pulumi", "preview", "--stack", frame.stack, "--json", "--show-sames", "--non-interactive"]
    line += ["--refresh", "--expect-no-changes"] if frame.drift else []
    done = subprocess.run([*line, *arguments], cwd=HOME, capture_output=True, text=True, check=False)
    if not done.stdout.strip():
        raise OperateError(f"pulumi preview ended with status {done.returncode}:\n{done.stderr.strip()}")
    preview = parse(done.stdout)
    judgement = judge(preview)
    return Report(markdown.render(frame, preview, judgement), _status(frame, preview, judgement))


def _status(frame: Frame, preview: Preview, judgement: Judgement) -> int:
    if judgement.errors:
        return FAILED
    if frame.drift:
        return DRIFTED if preview.changing() else SAFE
    return DANGEROUS if judgement.dangerous and not frame.allowed else SAFE
