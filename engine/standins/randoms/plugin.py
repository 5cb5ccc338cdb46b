"""The `random` plugin's stand-in."""

from __future__ import annotations

from engine.standins.generated import Generated
from engine.standins.provider import serve
from engine.standins.randoms.numbers import RandomBytes, RandomId, RandomUuid
from engine.standins.randoms.strings import RandomPassword, RandomString
from engine.standins.resource import Provider

RESOURCES: tuple[type[Generated], ...] = (RandomBytes, RandomId, RandomPassword, RandomString, RandomUuid)


def main() -> None:
    """Serve until the engine ends the process."""
    names = {kind: kind.__name__ for kind in RESOURCES}
    tokens = {f"random:index/{name[0].lower()}{name[1:]}:{name}": kind() for kind, name in names.items()}
    serve(Provider(name="random", version="4.21.4", resources=tokens))
