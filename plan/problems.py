"""The one error that carries everything that is wrong with a stack's settings."""

from collections.abc import Sequence


class SettingsError(ValueError):
    """The settings cannot be used.

    ``problems`` holds one sentence for each thing that is wrong: what, where, and what would be right.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        count = len(self.problems)
        head = "1 problem" if count == 1 else f"{count} problems"
        super().__init__(f"{head} in the settings:\n" + "\n".join(f"  - {text}" for text in self.problems))
