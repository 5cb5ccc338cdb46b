"""What a storage is made of at its core, as a resource of its own: it knows what it was, and refuses what cannot be."""

from typing import Any

from pulumi import ResourceOptions
from pulumi.dynamic import CheckFailure, CheckResult, CreateResult, DiffResult, Resource, ResourceProvider, UpdateResult
from typing_extensions import override

from plan.layout import Shape, refused_change, shape_from, values_of

Props = dict[str, Any]


class _ShapeProvider(ResourceProvider):
    """Compares the shape with that of the last update: the engine asks at each preview, before anything is made."""

    # There is no secret in it, and a secret one would hide that it never changes.
    serialize_as_secret_always = False

    @override
    def check(self, _olds: Props, news: Props) -> CheckResult:
        if not _olds:
            return CheckResult(news, [])
        refused = refused_change(shape_from(_olds), shape_from(news))
        return CheckResult(news, [CheckFailure(_property(text), text) for text in refused])

    @override
    def diff(self, _id: str, _olds: Props, _news: Props) -> DiffResult:
        return DiffResult(changes=any(_olds.get(key) != _news.get(key) for key in ("topology", "nodes", "layout")))

    @override
    def create(self, props: Props) -> CreateResult:
        return CreateResult("shape", props)

    @override
    def update(self, _id: str, _olds: Props, _news: Props) -> UpdateResult:
        return UpdateResult(_news)


def _property(text: str) -> str:
    return text.removeprefix("backup-storage:").split(" ", 1)[0]


class ShapeGuard(Resource, module="storage", name="Shape"):
    """The storage's shape. Whatever is to be made only for a possible shape depends on it."""

    def __init__(self, name: str, shape: Shape, opts: ResourceOptions | None = None) -> None:
        super().__init__(_ShapeProvider(), name, values_of(shape), opts)
