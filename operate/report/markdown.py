"""The report as Markdown: what matters first, the full diff folded below, never longer than a comment may be."""

from collections.abc import Iterator, Sequence

from operate.report.finding import Finding, Section
from operate.report.folded import fenced, folded
from operate.report.frame import Frame
from operate.report.judgement import Judgement
from operate.report.preview import Preview

#: How many subjects of a kind are named one by one, from the best report to the shortest.
_DETAILS = (30, 12, 5, 2)

#: The words take no more than this part of a report, so that some of the diff can be seen too.
_SHARE_OF_WORDS = 0.7

_MOST_CHARACTERS_A_LINE = 600
_MOST_CHARACTERS_OF_ERRORS = 2_000


def render(frame: Frame, preview: Preview, judgement: Judgement) -> str:
    """The report in at most ``frame.limit`` characters."""
    room = int(frame.limit * _SHARE_OF_WORDS)
    words = ""
    for most in _DETAILS:
        words = "\n".join(_words(frame, judgement, most))
        if len(words) <= room:
            break
    else:
        words = words[:room].rsplit("\n", 1)[0] + "\n\n…"
    rest = folded(frame.stack, preview, frame.limit - len(words) - 3)
    return f"{words}\n\n{rest}\n" if rest else f"{words}\n"


def _words(frame: Frame, judgement: Judgement, most: int) -> Iterator[str]:
    yield f"### {frame.title}"
    yield ""
    yield f"**{_headline(frame, judgement)}**"
    if judgement.errors:
        yield from ["", "> [!WARNING]", "> The preview failed, so this report is not complete.", ""]
        yield fenced("\n".join(judgement.errors)[:_MOST_CHARACTERS_OF_ERRORS])
    if judgement.dangerous:
        yield from ["", "> [!CAUTION]", f"> **Dangerous.** {frame.consequence}", ">"]
        told = [f"> - {_subject(one)}{'; '.join(one.dangers)}." for one in judgement.dangers()]
        yield from _capped(told, most, "> - … and {} more.")
    for section in Section:
        if findings := _grouped(judgement.of(section)):
            yield from ["", f"**{section}**", ""]
            told = [f"- {_subject(one)}{'; '.join(one.texts)}" for one in findings]
            yield from _capped(told, most, "- … and {} more")
    if judgement.said:
        yield from ["", "**Said by program and platform**", ""]
        yield from _capped([f"- {' '.join(text.split())}" for text in judgement.said], most, "- … and {} more")


def _headline(frame: Frame, judgement: Judgement) -> str:
    if judgement.errors:
        return "The preview failed."
    if not judgement.findings:
        return frame.calm
    environments, nodes = (len(judgement.of(section)) for section in (Section.ENVIRONMENTS, Section.NODES))
    counted = []
    if environments:
        kinds = ", ".join(f"{count} {kind}" for kind, count in judgement.kinds().items() if count)
        counted.append(f"{environments} environment{'' if environments == 1 else 's'} ({kinds})")
    if nodes:
        counted.append(f"{nodes} node{'' if nodes == 1 else 's'}")
    what = f"Changes to {' and '.join(counted)}" if counted else "Changes to the stack"
    return f"{what}, dangerous ones among them." if judgement.dangerous else f"{what}, none of them dangerous."


def _subject(finding: Finding) -> str:
    if finding.subject.startswith("`"):
        return f"{finding.subject}: "
    return f"`{finding.subject}`: " if finding.subject else ""


def _grouped(findings: Sequence[Finding]) -> list[Finding]:
    """Nodes of which the same is said, in one line; everything else on lines of its own."""
    groups: dict[tuple[str, ...], list[Finding]] = {}
    for finding in findings:
        key = finding.texts if finding.section is Section.NODES else (finding.subject, *finding.texts)
        groups.setdefault(key, []).append(finding)
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
