"""Runs a preview and reports on it."""

from collections.abc import Sequence
from dataclasses import dataclass

from operate.engine import preview
from operate.errors import OperateError
from operate.report import markdown
from operate.report.frame import LEAST_CHARACTERS, Frame
from operate.report.judgement import Judgement, judge
from operate.report.preview import Preview

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
    looking = ["--refresh", "--expect-no-changes"] if frame.drift else []
    seen = preview(frame.stack, *looking, *arguments)
    judgement = judge(seen)
    return Report(markdown.render(frame, seen, judgement), _status(frame, seen, judgement))


def _status(frame: Frame, seen: Preview, judgement: Judgement) -> int:
    if judgement.errors:
        return FAILED
    if frame.drift:
        return DRIFTED if seen.changing() else SAFE
    return DANGEROUS if judgement.dangerous and not frame.allowed else SAFE
