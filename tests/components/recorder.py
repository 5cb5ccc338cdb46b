"""Runs the whole program against Pulumi's mocks, and keeps the resource graph that it registered."""

import asyncio
import json
import runpy
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pulumi.runtime import mocks, settings
from pulumi.runtime.config import set_all_config
from pulumi.runtime.stack import run_pulumi_func

#: Under this key Pulumi says what a wrapped value is.
_SIGNATURE = "4dabf18193072939515e22adb298388d"

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Options:
    """How a resource is kept."""

    protect: bool
    retain_on_delete: bool
    depends_on: frozenset[str]


@dataclass
class Graph(mocks.Mocks):
    """What was registered, by name: resources of a provider, the components that hold them, and how both are kept.

    Of resources of several types with one name it is the last.
    """

    resources: dict[str, mocks.MockResourceArgs] = field(default_factory=dict)
    components: dict[str, mocks.MockResourceArgs] = field(default_factory=dict)
    options: dict[str, "Options"] = field(default_factory=dict)

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        if args.custom:
            known = self.resources.get(args.name)
            assert known is None or known.typ != args.typ, f"two resources are named {args.name}"
            self.resources[args.name] = args
        else:
            self.components[args.name] = args
        return f"{args.name}-id", {**args.inputs, **_made(args)}

    def call(self, args: mocks.MockCallArgs) -> tuple[dict[str, Any], list[tuple[str, str]] | None]:
        raise AssertionError(f"the program called {args.token}")

    def of_type(self, token: str) -> list[mocks.MockResourceArgs]:
        """The resources of one type in the order in which they were registered."""
        return [resource for resource in self.resources.values() if resource.typ == token]


class _Monitor(mocks.MockMonitor):
    """The mocks' monitor, which does not tell the mocks of a resource's options."""

    def __init__(self, graph: Graph) -> None:
        super().__init__(graph)
        self._graph = graph

    def RegisterResource(self, request: Any) -> Any:
        self._graph.options[request.name] = Options(
            request.protect,
            request.retainOnDelete,
            frozenset(urn.rpartition("::")[2] for urn in request.dependencies),
        )
        return super().RegisterResource(request)  # type: ignore[no-untyped-call]


def run_program(config: Mapping[str, Any], stack: str = "test", secrets: Sequence[str] = ()) -> Graph:
    """Runs ``__main__.py`` with these settings, some secret; gives the graph. Raises what the program raises."""
    graph = Graph()
    # A thread of its own: Pulumi keeps its settings in context variables and its event loop by thread.
    with _loops_closed(), ThreadPoolExecutor(max_workers=1) as thread:
        ended = thread.submit(asyncio.run, _run(graph, config, stack, secrets)).exception()
    if ended is not None:
        raise ended
    return graph


async def _run(graph: Graph, config: Mapping[str, Any], stack: str, secrets: Sequence[str]) -> None:
    settings.reset_options(project="backup-storage", stack=stack)
    mocks.set_mocks(graph, project="backup-storage", stack=stack, preview=False, monitor=_Monitor(graph))
    values = {f"backup-storage:{key}": _text(value) for key, value in config.items()}
    set_all_config(values, [f"backup-storage:{key}" for key in secrets])
    await run_pulumi_func(_program)


@contextmanager
def _loops_closed() -> Iterator[None]:
    """Closes every event loop that is made in the block: Pulumi leaves those of its worker threads open."""
    before = asyncio.get_event_loop_policy()
    made: list[asyncio.AbstractEventLoop] = []

    class Remembering(asyncio.DefaultEventLoopPolicy):
        def new_event_loop(self) -> asyncio.AbstractEventLoop:
            made.append(super().new_event_loop())
            return made[-1]

    asyncio.set_event_loop_policy(Remembering())
    try:
        yield
    finally:
        asyncio.set_event_loop_policy(before)
        for loop in made:
            loop.close()


def plain(value: Any) -> Any:
    """A value out of the wrapping that marks it as secret."""
    return value["value"] if isinstance(value, dict) and set(value) == {_SIGNATURE, "value"} else value


def secret_of(name: str) -> str:
    """What the mocks give as the text of the random password of that name."""
    return f"secret of {name}".ljust(64, ".")


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _made(args: mocks.MockResourceArgs) -> dict[str, Any]:
    """What a provider would have made up."""
    match args.typ.rpartition(":")[2]:
        case "RandomPassword":
            return {"result": secret_of(args.name)}
        case "PrivateKey":
            return {"privateKeyOpenssh": f"private {args.name}", "publicKeyOpenssh": f"ssh-ed25519 {args.name}\n"}
        case "Machine":
            return {"address": "127.1.2.3", "sshPort": 2222, "instance": f"{args.name}-1"}
        case "Disk":
            return {"device": f"/dev/disk/by-id/virtio-{args.name}", "instance": f"{args.name}-1"}
        case "Command" if args.name.endswith("-host-key"):
            return {"stdout": "ssh-ed25519 made-on-the-node", "stderr": ""}
        case "KeyPair":
            return {"keyName": "login"}
        case "Vpc":
            return {"mainRouteTableId": "rtb-1"}
        case "Instance":
            return {"publicIp": "203.0.113.9"}
        case "Command":
            return {"stdout": json.dumps({"health": {"healthy": True}, "brick": "/brick/one"}), "stderr": ""}
    return {}


def _program() -> None:
    runpy.run_path(str(ROOT / "__main__.py"), run_name="__main__")
