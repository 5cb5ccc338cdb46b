"""What a report is made for: the stack, the occasion and the room that there is."""

from dataclasses import dataclass

#: GitHub takes no longer comment (65,536 characters); the rest is for the marker by which it is found again.
MOST_CHARACTERS = 65_000

#: Below this not even the counts and the way to the full preview would fit.
LEAST_CHARACTERS = 4_000


@dataclass(frozen=True)
class Frame:
    """How a report is framed.

    limit: how many characters it may have, LEAST_CHARACTERS or more.
    allowed: a maintainer has allowed what is dangerous.
    drift: the stack was looked at as it really is, and nothing should have changed.
    """

    stack: str
    limit: int = MOST_CHARACTERS
    allowed: bool = False
    drift: bool = False

    @property
    def title(self) -> str:
        """The report's heading."""
        return f"{'Drift' if self.drift else 'Preview'} of stack `{self.stack}`"

    @property
    def calm(self) -> str:
        """What is said of a stack in which nothing changes."""
        return "Nothing has drifted." if self.drift else "Nothing changes."

    @property
    def consequence(self) -> str:
        """What follows from something dangerous."""
        if self.drift:
            return "Look at the machines before `make up` brings this stack back to its settings."
        if self.allowed:
            return "A maintainer has allowed this by the label `allow-destructive`."
        return "The check passes only with the label `allow-destructive`, which a maintainer sets."
