"""Whether Pulumi's own servers can be reached from here."""

from __future__ import annotations

import functools
import socket
from urllib.parse import urlsplit
from urllib.request import getproxies

REACH_SECONDS = 5
"""How long a server may take to answer before it counts as out of reach."""


@functools.cache
def reachable(url: str) -> bool:
    """Whether the server of an https address takes connections; asked once a run.

    A proxy that the environment names counts as a way there: the download itself will tell.
    """
    if getproxies().get("https"):
        return True
    host = urlsplit(url).hostname or ""
    try:
        socket.create_connection((host, 443), timeout=REACH_SECONDS).close()
    except OSError:
        return False
    return True
