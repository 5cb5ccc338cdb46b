"""The `command` plugin's stand-in: remote.Command, remote.CopyToRemote, local.Command, local.run."""

from __future__ import annotations

from engine.standins.command.copy import CopyToRemote
from engine.standins.command.local import LocalCommand, run_function
from engine.standins.command.remote import RemoteCommand
from engine.standins.provider import serve
from engine.standins.resource import Provider


def main() -> None:
    """Serve until the engine ends the process."""
    serve(
        Provider(
            name="command",
            version="1.2.1",
            resources={
                "command:remote:Command": RemoteCommand(),
                "command:remote:CopyToRemote": CopyToRemote(),
                "command:local:Command": LocalCommand(),
            },
            functions={"command:local:run": run_function},
        )
    )
