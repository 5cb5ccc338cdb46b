"""The report as Markdown: what matters first, the full diff folded below, never longer than a comment may be."""

import re
from collections.abc import Iterator, Sequence

from operate.report import difference
from operate.report.finding import Finding, Section
from operate.report.judgement import Judgement
from operate.report.preview import Preview

#: GitHub takes no longer comment (65,536 characters); the rest is for the marker by which it is found again.
MOST_CHARACTERS = 65_000

#: Below this not even the counts and the way to the full preview would fit.
LEAST_CHARACTERS = 4_000

#: How many subjects are named one by one, from the best report to the shortest.
_DETAILS = (50, 20, 8, 3)

#: The words take no more than this part of a report, so that some of the diff can be seen too.
_SHARE_OF_WORDS = 0.7

_MOST_CHARACTERS_A_LINE = 600

_COUNTED = {
    "create": "to create",
    "update": "to update",
    "replace": "to replace",
    "delete": "to delete",
    "import": "to take over",
    "same": "unchanged",
}

ALLOWED = "A maintainer has allowed this by the label `allow-destructive`."
FORBIDDEN = "The check passes only with the label `allow-destructive`, which a maintainer sets."


def render(
    stack: str, preview: Preview, judgement: Judgement, *, limit: int = MOST_CHARACTERS, allowed: bool = False
) -> str:
    """The report on one stack in at most ``limit`` characters, LEAST_CHARACTERS or more."""
    for most in _DETAILS:
        words = "\n".join(_words(stack, judgement, most, allowed=allowed))
        if len(words) <= limit * _SHARE_OF_WORDS:
            break
    else:
        words = words[: int(limit * _SHARE_OF_WORDS)].rsplit("\n", 1)[0] + "\n\n…"
    if not (diff := list(difference.lines(preview))):
        return f"{words}\n"
    return f"{words}\n\n{_folded(stack, preview, diff, limit - len(words) - 3)}\n"


def _words(stack: str, judgement: Judgement, most: int, *, allowed: bool) -> Iterator[str]:
    yield f"### Preview of stack `{stack}`"
    yield ""
    yield f"**{_headline(judgement)}**"
    if judgement.errors:
        yield from ["", "> [!WARNING]", "> The preview failed, so this report is not complete.", ""]
        yield _fenced("\n".join(judgement.errors)[: _MOST_CHARACTERS_A_LINE * 4], "")
    if judgement.dangerous:
        yield from ["", "> [!CAUTION]", f"> **Dangerous.** {ALLOWED if allowed else FORBIDDEN}", ">"]
        told = [f"> - {_subject(one)}{'; '.join(one.dangers)}." for one in judgement.dangers()]
        yield from _capped(told, most, "> - … and {} more.")
    for section in Section:
        if findings := _grouped(judgement.of(section)):
            yield from ["", f"**{section}**", ""]
            yield from _capped(
                [f"- {_subject(one)}{'; '.join(one.texts)}" for one in findings], most, "- … and {} more"
            )
    if judgement.said:
        yield from ["", "**Said by program and platform**", ""]
        yield from _capped([f"- {' '.join(text.split())}" for text in judgement.said], most, "- … and {} more")


def _headline(judgement: Judgement) -> str:
    if judgement.errors:
        return "The preview failed."
    counted = []
    for section, noun in ((Section.ENVIRONMENTS, "environment"), (Section.NODES, "node")):
        if count := len(judgement.of(section)):
            counted.append(f"{count} {noun}{'' if count == 1 else 's'}")
    if not judgement.findings:
        return "Nothing changes."
    what = f"Changes to {' and '.join(counted)}" if counted else "Changes to the stack"
    return f"{what}, dangerous ones among them." if judgement.dangerous else f"{what}, none of them dangerous."


def _subject(finding: Finding) -> str:
    return (
        f"{finding.subject}: " if finding.subject.startswith("`") else f"`{finding.subject}`: " * bool(finding.subject)
    )


def _grouped(findings: Sequence[Finding]) -> list[Finding]:
    """Subjects of which the same is said, in one line; new and vanished environments stay on lines of their own."""
    groups: dict[tuple[str, ...], list[Finding]] = {}
    for finding in findings:
        groups.setdefault(finding.texts if finding.section is Section.NODES else (finding.subject,), []).append(finding)
    return [
        Finding(same[0].section, ", ".join(f"`{one.subject}`" for one in same), same[0].texts)
        if len(same) > 1
        else same[0]
        for same in groups.values()
    ]


def _capped(lines: Sequence[str], most: int, rest: str) -> Iterator[str]:
    """The first lines, none of them endless, and how many there are besides."""
    shown = lines if len(lines) <= most else lines[:most]
    for line in shown:
        yield line if len(line) <= _MOST_CHARACTERS_A_LINE else f"{line[:_MOST_CHARACTERS_A_LINE]}…"
    if len(lines) > len(shown):
        yield rest.format(len(lines) - len(shown))


def _folded(stack: str, preview: Preview, diff: Sequence[str], room: int) -> str:
    head = f"<details><summary>Full diff: {_counted(preview)}</summary>\n\n"
    cut = f"\n… and {{}} more lines; `make preview STACK={stack}` shows them all"
    room -= len(head) + len("\n\n</details>") + 2 * (_fence_length(diff) + len("diff")) + len(cut) + 10
    kept, used = 0, 0
    while kept < len(diff) and used + len(diff[kept]) + 1 <= room:
        used += len(diff[kept]) + 1
        kept += 1
    text = "\n".join(diff[:kept]) + (cut.format(len(diff) - kept) if kept < len(diff) else "")
    return f"{head}{_fenced(text, 'diff')}\n\n</details>"


def _counted(preview: Preview) -> str:
    counts = preview.counts()
    order = [*_COUNTED, *sorted(set(counts) - set(_COUNTED))]
    return ", ".join(f"{counts[op]} {_COUNTED.get(op, op)}" for op in order if op in counts)


def _fence_length(lines: Sequence[str]) -> int:
    """Longer than any run of backticks inside, so that nothing ends the block before its end."""
    return max([2, *(len(run) for line in lines for run in re.findall("`+", line))]) + 1


def _fenced(text: str, language: str) -> str:
    fence = "`" * _fence_length([text])
    return f"{fence}{language}\n{text}\n{fence}"
