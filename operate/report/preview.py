"""What ``pulumi preview --json`` prints, as far as a report needs it; everything else in it is passed over.

The engine's own type is ``PreviewDigest`` (github.com/pulumi/pulumi, pkg/display); it may grow fields at any time.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from operate.errors import OperateError

#: What the engine writes for a value that only an `up` will know (its UnknownStringValue).
UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"

#: Operations that change nothing that a reviewer would ask about. A refresh step shows the state from before it.
_QUIET = frozenset({"same", "refresh", "read", "read-replacement", "read-discard", "discard-replaced"})

#: What the engine adds to an error that has been told already.
_EMPTY_WORDS = ("preview failed", "an unhandled error occurred: Program exited")

_Values = Annotated[dict[str, Any], BeforeValidator(lambda value: {} if value is None else value)]
_NoneIsEmpty = BeforeValidator(lambda value: () if value is None else value)


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", alias_generator=to_camel, populate_by_name=True)


class State(_Part):
    """A resource as it is, or as it is to be. Secret values are ``[secret]`` in it."""

    inputs: _Values = Field(default_factory=dict)
    outputs: _Values = Field(default_factory=dict)
    parent: str = ""
    protect: bool = False
    retain_on_delete: bool = False
    additional_secret_outputs: Annotated[tuple[str, ...], _NoneIsEmpty] = ()


class Step(_Part):
    """What happens to one resource. ``op`` is the engine's word: create, update, replace, delete, same, …"""

    op: str
    urn: str
    old_state: State | None = None
    new_state: State | None = None

    @property
    def name(self) -> str:
        """The resource's name."""
        return self.urn.split("::", 3)[-1]

    @property
    def type(self) -> str:
        """The resource's own type token, without those of its parents."""
        return self.urn.split("::", 3)[2].rsplit("$", 1)[-1]

    @property
    def old(self) -> State:
        """The resource as it is; nothing in it where it is new."""
        return self.old_state or State()

    @property
    def new(self) -> State:
        """The resource as it is to be; nothing in it where it goes."""
        return self.new_state or State()

    @property
    def parent(self) -> str:
        """The URN of the component that the resource is a part of."""
        return (self.new_state or self.old).parent

    @property
    def loses_what_was_protected(self) -> bool:
        """Whether something goes that was to be kept, of whichever type it is."""
        return self.op in ("delete", "replace") and (self.old.protect or self.old.retain_on_delete)

    @property
    def changes(self) -> bool:
        """Whether anything happens to the resource."""
        return self.op not in _QUIET


class Diagnostic(_Part):
    """Something that the program, a provider or the engine said."""

    severity: str = "info"
    message: str = ""


class Preview(_Part):
    """All that one preview told. The engine's order of steps differs from run to run; here it does not."""

    steps: Annotated[tuple[Step, ...], _NoneIsEmpty] = ()
    diagnostics: Annotated[tuple[Diagnostic, ...], _NoneIsEmpty] = ()

    def changing(self) -> Sequence[Step]:
        """The steps in which something happens."""
        return [step for step in self.steps if step.changes]

    def counts(self) -> Mapping[str, int]:
        """How many resources each operation is for."""
        found: dict[str, int] = {}
        for step in self.steps:
            if step.changes or step.op == "same":
                found[step.op] = found.get(step.op, 0) + 1
        return found

    def said(self, *severities: str) -> list[str]:
        """What was said with one of these severities, each text once."""
        texts = [
            one.message.strip().removeprefix(f"{one.severity}: ")
            for one in self.diagnostics
            if one.severity in severities and one.message.strip()
        ]
        return [text for text in dict.fromkeys(texts) if not text.startswith(_EMPTY_WORDS)]


def parse(text: str) -> Preview:
    """Reads a preview. Raises OperateError where the text is none."""
    try:
        found = Preview.model_validate_json(text)
    except ValidationError as error:
        details = error.errors()[0]
        where = ".".join(str(part) for part in details["loc"]) or "the start"
        raise OperateError(f"This is no preview of Pulumi: at {where}, {details['msg']}.") from error
    if any(step.urn.count("::") < 3 for step in found.steps):
        raise OperateError("This is no preview of Pulumi: a step in it names no resource.")
    return found.model_copy(update={"steps": tuple(sorted(found.steps, key=lambda step: step.urn))})
