"""Members of a cluster on this computer's own addresses, which give and take bricks over real TLS."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from storage_node.cluster import donor, filling, fresh, glusterd, pending, wire
from storage_node.errors import NodeError
from storage_node.paths import Paths
from tests.authority import Authority
from tests.storage_node import bricks, nodes

_NAMES = ("storage-1", "storage-2", "storage-3")
LOST = "storage-2"


def equip(paths: Paths, authority: Authority, name: str) -> None:
    """Gives a node what it proves with that it is the member of that name."""
    paths.at(glusterd.CERTIFICATE).parent.mkdir(parents=True, exist_ok=True)
    private_key, certificate = authority.member(name)
    paths.at(glusterd.PRIVATE_KEY).write_text(private_key)
    paths.at(glusterd.CERTIFICATE).write_text(certificate)
    paths.at(glusterd.AUTHORITY).write_text(authority.certificate)


class Pool:
    """Members on addresses of this computer's own, one of which has lost its brick; the others give."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch, stack: contextlib.ExitStack) -> None:
        self.root, self.authority, self._stack = root, Authority(), stack
        spec = nodes.cluster_spec()
        for number, member in enumerate(spec["members"], 1):
            member["address"] = f"127.77.0.{number}"
        self.cluster = nodes.cluster(members=spec["members"])
        self.known = {f"127.77.0.{n}:/brick/brick-{n}": f"data-client-{n - 1}" for n in (1, 2, 3)}
        self.changing = False
        self.failures: list[BaseException] = []
        for name in _NAMES:
            nodes.store_member(self.paths(name), name, self.cluster)
            equip(self.paths(name), self.authority, name)
            self.paths(name).at("/brick").mkdir()
        monkeypatch.setattr(pending, "clients", lambda _: self.known)
        monkeypatch.setattr(fresh, "is_noted", lambda _: self.changing)
        monkeypatch.setattr(filling, "ACCOUNT_SECONDS", 0.0)
        self.port = _free_port()
        monkeypatch.setattr(wire, "DONOR_PORT", self.port)
        self.place = self.paths(LOST).at("/brick/.filling")

    def paths(self, name: str) -> Paths:
        return Paths(self.root / name)

    def brick(self, name: str) -> Path:
        return self.paths(name).at(f"/brick/brick-{name[-1]}")

    def listen(self, name: str, answer: Callable[[socket.socket], object] | None = None) -> None:
        """Has a member take connections, each by a thread of its own."""
        listener = self._stack.enter_context(
            socket.create_server((self.cluster.member(name).address, self.port), backlog=16)
        )
        threads: list[threading.Thread] = []

        def give(plain: socket.socket) -> None:
            with plain:
                try:
                    (answer or (lambda one: donor.run(self.paths(name), one)))(plain)
                except (NodeError, OSError) as error:
                    self.failures.append(error)

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    threads.append(threading.Thread(target=give, args=(listener.accept()[0],)))
                    threads[-1].start()

        threads.append(threading.Thread(target=accept))
        threads[0].start()

        def end() -> None:
            listener.shutdown(socket.SHUT_RDWR)
            for thread in threads:
                thread.join()

        self._stack.callback(end)

    def others_give(self) -> None:
        """Has the members that lost nothing have the same brick, and take connections."""
        for name in _NAMES:
            if name != LOST:
                bricks.make(self.brick(name))
                self.listen(name)

    def fill(self) -> bool:
        return filling.fill(self.paths(LOST), LOST, self.cluster, self.place)


def _free_port() -> int:
    with socket.create_server(("127.77.0.1", 0)) as free:
        return int(free.getsockname()[1])
