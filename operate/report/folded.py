"""The full diff, folded below a report and cut off where there is no more room."""

import re
from collections.abc import Sequence

from operate.report import difference
from operate.report.preview import Preview

_COUNTED = {
    "create": "to create",
    "update": "to update",
    "replace": "to replace",
    "delete": "to delete",
    "import": "to take over",
    "same": "unchanged",
}


def folded(stack: str, preview: Preview, room: int) -> str:
    """As much of the diff as fits into ``room`` characters; empty where nothing changes."""
    diff = list(difference.lines(preview))
    if not diff:
        return ""
    head, tail = f"<details><summary>Full diff: {_counted(preview)}</summary>\n\n", "\n\n</details>"
    cut = f"\n… and {{}} more lines; `make preview STACK={stack}` shows them all"
    room -= len(head) + len(fenced("".join(diff), "diff")) - len("".join(diff)) + len(cut) + len(str(len(diff)))
    room -= len(tail)
    kept, used = 0, 0
    while kept < len(diff) and used + len(diff[kept]) + 1 <= room:
        used += len(diff[kept]) + 1
        kept += 1
    text = "\n".join(diff[:kept]) + (cut.format(len(diff) - kept) if kept < len(diff) else "")
    return f"{head}{fenced(text, 'diff')}{tail}"


def fenced(text: str, language: str = "") -> str:
    """A block of code; its fence is longer than any run of backticks inside, so that nothing ends it early."""
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", text)), default=0))
    return f"{fence}{language}\n{text}\n{fence}"


def _counted(preview: Preview) -> str:
    counts = preview.counts()
    order: Sequence[str] = [*_COUNTED, *sorted(set(counts) - set(_COUNTED))]
    return ", ".join(f"{counts[op]} {_COUNTED.get(op, op)}" for op in order if op in counts)
