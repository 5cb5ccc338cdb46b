"""The QEMU machine protocol: one command, one answer (QEMU documentation: QMP reference)."""

import json
import socket
from pathlib import Path
from typing import Any

from components.qemu import sockets

# The monitor's name in the machine's directory.
SOCKET = "qmp"

# Long enough for a snapshot of a machine's memory; every other command answers at once.
TIMEOUT_SECONDS = 120.0


class QmpError(RuntimeError):
    """The machine's monitor could not be reached, or refused the command."""


def execute(machine: Path, command: str, **arguments: Any) -> Any:
    """The answer of the machine whose directory this is. Raises QmpError."""
    try:
        with (
            sockets.connect(machine, SOCKET, socket.SOCK_STREAM, TIMEOUT_SECONDS) as connection,
            connection.makefile("rw", encoding="utf-8") as stream,
        ):
            _answer(stream, greeting=True)
            for request in (
                {"execute": "qmp_capabilities"},
                {"execute": command, "arguments": arguments},
            ):
                stream.write(json.dumps(request) + "\n")
                stream.flush()
                answer = _answer(stream)
    except (OSError, ValueError) as error:
        raise QmpError(f"machine {machine.name}: its monitor does not answer: {error}") from error
    if "error" in answer:
        raise QmpError(f"machine {machine.name}: {command} was refused: {answer['error']['desc']}")
    return answer["return"]


def human(machine: Path, line: str) -> str:
    """What the human monitor prints for this line. Raises QmpError when it prints an error."""
    said = str(execute(machine, "human-monitor-command", **{"command-line": line})).strip()
    if said.startswith("Error"):
        raise QmpError(f"machine {machine.name}: {line}: {said}")
    return said


def _answer(stream: Any, greeting: bool = False) -> dict[str, Any]:
    """The next message that is not an event."""
    while line := stream.readline():
        message: dict[str, Any] = json.loads(line)
        if "QMP" in message if greeting else ("return" in message or "error" in message):
            return message
    raise ConnectionResetError("the connection was closed")
