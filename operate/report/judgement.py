"""What a preview means, all in one: what changes, and what of it is dangerous."""

from collections.abc import Sequence
from dataclasses import dataclass

from operate.report import environments, hosts, nodes, stack
from operate.report.finding import Finding, Section
from operate.report.preview import Preview


@dataclass(frozen=True)
class Judgement:
    """Everything that a reviewer is told, in the order in which it is told.

    said: warnings and other words of the program, the providers and the engine.
    errors: why the preview failed, none where it did not.
    """

    findings: Sequence[Finding]
    said: Sequence[str]
    errors: Sequence[str]

    @property
    def dangerous(self) -> bool:
        """Whether something of it can lose backups or access to them, or stop the whole storage."""
        return any(finding.dangers for finding in self.findings)

    def of(self, section: Section) -> list[Finding]:
        """What changes in one section."""
        return [finding for finding in self.findings if finding.section is section and finding.texts]

    def kinds(self) -> dict[str, int]:
        """How many environments come, go and change."""
        first = [finding.texts[0] for finding in self.of(Section.ENVIRONMENTS)]
        new = sum(text.startswith(environments.NEW) for text in first)
        withdrawn = sum(text.startswith(environments.WITHDRAWN) for text in first)
        return {"new": new, "withdrawn": withdrawn, "changed": len(first) - new - withdrawn}

    def dangers(self) -> list[Finding]:
        """What is dangerous: whole storage first, then nodes, then environments."""
        order = list(reversed(Section))
        found = [finding for finding in self.findings if finding.dangers]
        return sorted(found, key=lambda finding: order.index(finding.section))


def judge(preview: Preview) -> Judgement:
    """Reads a preview's steps."""
    about_nodes = [*nodes.findings(preview), *hosts.findings(preview)]
    return Judgement(
        findings=[
            *environments.findings(preview),
            *about_nodes,
            *stack.findings(preview, about_nodes),
        ],
        said=preview.said("info", "info#err", "warning"),
        errors=preview.said("error"),
    )
