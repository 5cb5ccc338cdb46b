"""What of a stack never changes once it holds data: a change is refused at preview, before anything is touched."""

from collections.abc import Mapping
from typing import Any

from pulumi import ResourceOptions
from pulumi.dynamic import CheckFailure, CheckResult, CreateResult, DiffResult, Resource, ResourceProvider, UpdateResult
from pulumi.runtime.rpc import UNKNOWN
from typing_extensions import override

Props = dict[str, Any]


class FixedProvider(ResourceProvider):
    """Remembers values in the state and refuses others. Holds nothing itself, so it is the same for every stack."""

    # There is no secret in it, and a secret one would hide that it never changes.
    serialize_as_secret_always = False

    @override
    def check(self, olds: Props, news: Props) -> CheckResult:
        failures = [
            CheckFailure(
                name,
                f"this stack's {name} is {olds[name]} and cannot become {value}: its data is there. For a storage "
                f"with {name} {value} make another stack (`make up STACK=<name>`), copy what is needed, then destroy "
                "this one",
            )
            for name, value in news.items()
            if not name.startswith("__") and name in olds and value not in (UNKNOWN, olds[name])
        ]
        return CheckResult(news, failures)

    @override
    def diff(self, _id: str, _olds: Props, _news: Props) -> DiffResult:
        changed = any(_olds.get(name) != value for name, value in _news.items() if not name.startswith("__"))
        return DiffResult(changes=changed)

    @override
    def create(self, props: Props) -> CreateResult:
        return CreateResult("fixed", props)

    @override
    def update(self, _id: str, _olds: Props, _news: Props) -> UpdateResult:
        return UpdateResult(_news)


class Fixed(Resource, module="index", name="Fixed"):
    """Values that this stack keeps for good; all that depends on it is registered after they were checked."""

    def __init__(self, name: str, values: Mapping[str, str], opts: ResourceOptions | None = None) -> None:
        super().__init__(FixedProvider(), name, dict(values), opts)
