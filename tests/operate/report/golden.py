"""The recorded previews and the reports that they have to give. Run as a program, it writes the reports again."""

from pathlib import Path

from operate.report.frame import MOST_CHARACTERS, Frame
from operate.report.judgement import Judgement, judge
from operate.report.markdown import render
from operate.report.preview import Preview, parse

HERE = Path(__file__).resolve().parent

NAMES = sorted(path.stem for path in HERE.glob("*.json"))


def recorded(name: str) -> str:
    """What the engine printed."""
    return (HERE / f"{name}.json").read_text(encoding="utf-8")


def judged(name: str) -> Judgement:
    """What that preview means."""
    return judge(parse(recorded(name)))


def reported(name: str, text: str = "", *, limit: int = MOST_CHARACTERS, allowed: bool = False) -> str:
    """The report on a recording, or on ``text`` in its place."""
    preview: Preview = parse(text or recorded(name))
    frame = Frame("test", limit=limit, allowed=allowed, drift=name.startswith("drift-"))
    return render(frame, preview, judge(preview))


def expected(name: str) -> Path:
    """Where the report is that a recording has to give."""
    return HERE / f"{name}.md"


if __name__ == "__main__":
    for each in NAMES:
        expected(each).write_text(reported(each), encoding="utf-8")
