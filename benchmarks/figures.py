"""What a measurement gives, how it is printed, and where it is written down."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

RESULTS = Path(__file__).with_name("results.json")


@dataclass(frozen=True)
class Figure:
    """One measured value.

    goal: what it has to reach. better: whether lower or higher values are better. baseline: what a ratio is against,
    measured in the same run, or what the value stands for where it is no ratio.
    """

    name: str
    value: float
    unit: str
    goal: float
    better: Literal["lower", "higher"]
    baseline: str

    @property
    def reached(self) -> bool:
        """Whether the goal is reached."""
        return self.value <= self.goal if self.better == "lower" else self.value >= self.goal

    def line(self) -> str:
        """The figure as one line for people."""
        sign, verdict = ("<=" if self.better == "lower" else ">="), ("reached" if self.reached else "MISSED")
        return f"{self.name}: {self.value:.3g} {self.unit} (goal {sign} {self.goal:g}, {verdict}; {self.baseline})"


def write(figures: Iterable[Figure]) -> None:
    """Puts the figures into ``results.json``; those of other parts stay."""
    known = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    for figure in figures:
        known[figure.name] = {key: value for key, value in asdict(figure).items() if key != "name"}
    draft = RESULTS.with_suffix(".new")
    draft.write_text(json.dumps(known, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    draft.replace(RESULTS)
