"""The engine, as seen from inside the dynamic provider's process: telling it things, and ending with it.

Pulumi starts that process with the engine's address as its one argument; anywhere else nothing happens here.
"""

import os
import socket
import sys
import threading
import time
from functools import cache

import grpc  # type: ignore[import-untyped]
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc

_SECONDS = 5.0


def tell(message: str, passing: bool = True) -> None:
    """Show a line to whoever watches the engine: a passing one while the work goes on, the others stay."""
    if (address := _address()) is None:
        return
    request = engine_pb2.LogRequest(severity=engine_pb2.INFO, message=message, ephemeral=passing)
    try:
        with grpc.insecure_channel(f"{address[0]}:{address[1]}") as channel:
            engine_pb2_grpc.EngineStub(channel).Log(request, timeout=_SECONDS)
    except grpc.RpcError:
        # The work itself does not depend on being watched.
        return


@cache
def end_with_engine() -> None:
    """From now on this process ends soon after the engine does, even when that was killed and could say nothing.

    A killed engine would otherwise leave its provider processes behind for good. Whatever an operation was doing
    is taken up by the next one.
    """
    if (address := _address()) is not None:
        threading.Thread(target=_watch, args=(address,), daemon=True).start()


def _address() -> tuple[str, int] | None:
    host, _, port = sys.argv[1].rpartition(":") if len(sys.argv) == 2 else ("", "", "")
    return (host, int(port)) if host == "127.0.0.1" and port.isdigit() else None


def _watch(address: tuple[str, int]) -> None:
    while True:
        time.sleep(_SECONDS)
        try:
            socket.create_connection(address, timeout=_SECONDS).close()
        except ConnectionRefusedError:
            os._exit(1)
        except OSError:
            continue
