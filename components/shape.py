"""What a storage is made of at its core, as a resource of its own: it knows what it was, and refuses what cannot be."""

from typing import Any

from pulumi import ResourceOptions
from pulumi.dynamic import CheckFailure, CheckResult, Resource
from typing_extensions import override

from components.fixed import FixedProvider
from plan.layout import Shape, refused_change, shape_from, values_of


class ShapeProvider(FixedProvider):
    """Knows the shape of the last update, and which changes of it are possible."""

    @override
    def check(self, olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        refused = refused_change(shape_from(olds), shape_from(news)) if olds else []
        return CheckResult(news, [CheckFailure(_setting(text), text) for text in refused])


def _setting(sentence: str) -> str:
    """The setting that a sentence begins with."""
    return sentence.removeprefix("backup-storage:").split(" ", 1)[0]


class ShapeGuard(Resource, module="index", name="Shape"):
    """The storage's shape. Whatever is to be made only for a possible shape depends on it."""

    def __init__(self, name: str, shape: Shape, opts: ResourceOptions | None = None) -> None:
        super().__init__(ShapeProvider(), name, values_of(shape), opts)
