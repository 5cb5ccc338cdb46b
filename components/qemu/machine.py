"""The life of one machine: defined, started, waited for, stopped, deleted. Every step may be repeated."""

import signal
import socket
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fcntl import LOCK_EX, flock
from pathlib import Path

from psutil import Process

from components.qemu import command, credentials, files, network, process, qmp, ready, root_disk
from components.qemu.definition import SSH_PORT, Definition, MachineSpec, identity, loopback_address
from components.qemu.image import Image
from components.qemu.layout import StackDirectory

# How long a clean shutdown may take before the machine is switched off.
SHUTDOWN_SECONDS = 120.0

# How long QEMU may take until its monitor answers.
START_SECONDS = 60.0

Progress = Callable[[str], None]


class MachineError(RuntimeError):
    """A machine could not be brought where it should be."""


def quiet(_: str) -> None:
    """A progress that nobody wants to see."""


@dataclass(frozen=True)
class Machine:
    """One machine of a stack, by name. It may be on, off, or not there at all."""

    stack: StackDirectory
    name: str

    @property
    def directory(self) -> Path:
        """Everything of the machine but its data disks."""
        return self.stack.machine(self.name)

    @property
    def definition(self) -> Definition | None:
        """What the machine is, or None when it was never completely defined."""
        return Definition.load(self.directory)

    def is_running(self) -> bool:
        """Whether its QEMU is alive, wherever its boot has got to."""
        return process.find(self.directory, process.QEMU) is not None

    def has_its_disks(self) -> bool:
        """Whether it runs with the data disks that are there now: one made anew under an old name is another disk."""
        definition, running = self.definition, process.find(self.directory, process.QEMU)
        if definition is None or running is None:
            return False
        disks = [self.stack.disk(name) for name in definition.disks]
        opened = {(stat.st_dev, stat.st_ino) for stat in process.open_files(running)}
        return all(disk.exists() and (disk.stat().st_dev, disk.stat().st_ino) in opened for disk in disks)

    def define(self, spec: MachineSpec, image: Image, owner: str = "") -> Definition:
        """Write down what the machine is. An existing one keeps its root disk, its image and its addresses.

        ``owner`` is noted when given: whoever defines the machine with one takes it over.
        """
        self.directory.parent.mkdir(parents=True, exist_ok=True)
        self.directory.mkdir(mode=0o700, exist_ok=True)
        with self._locked():
            before = self.definition
            self._refuse_taken_address(spec)
            digest = before.image if before else root_disk.adopt(self.stack, image)
            root = self.directory / command.ROOT_DISK
            fresh = before is None or not root.exists()
            if fresh:
                self.kill()
                root.unlink(missing_ok=True)
                root_disk.make(root, f"{command.IMAGES}/{digest}/{image.disk.name}")
            definition = Definition(
                name=self.name,
                instance=uuid.uuid4().hex if before is None or fresh else before.instance,
                owner=owner or (before.owner if before else ""),
                image=digest,
                address=before.address if before else _free_address(str(self.directory)),
                private_address=spec.private_address,
                cpus=spec.cpus,
                memory_mb=spec.memory_mb,
                disks=spec.disks,
                identity=identity(spec),
                shared_addresses=spec.shared_addresses,
            )
            credentials.write(self.directory, spec, command.environment())
            definition.save(self.directory)
        return definition

    def start(self) -> None:
        """Start the machine unless it runs as it is defined; one that runs otherwise is restarted."""
        with self._locked():
            definition = self._defined()
            network.start(self.stack.network)
            network.share(self.stack.network, definition.private_address, definition.shared_addresses)
            for name in definition.disks:
                if not self.stack.disk(name).exists():
                    raise MachineError(f"machine {self.name}: its disk {name} is gone: {self.stack.disk(name)}")
            if (running := process.find(self.directory, process.QEMU)) is not None:
                if command.is_of(running.cmdline(), definition) and self.has_its_disks():
                    return
                self._stop(running)
            for stale in (command.port_socket(self.stack.network, definition), self.directory / qmp.SOCKET):
                stale.unlink(missing_ok=True)
            self._launch(command.starting(definition))

    def wait(self, host_public_key: str, progress: Progress = quiet) -> None:
        """Return when SSH answers with this host key. Raises MachineError with the end of what the machine said."""
        definition = self._defined()
        try:
            ready.wait(definition.address, definition.ssh_port, host_public_key, self.is_running, progress)
        except ready.NotReadyError as error:
            state = "running" if self.is_running() else "off"
            raise MachineError(
                f"machine {self.name} ({state}): {error}. The end of {self.directory / command.CONSOLE}:\n"
                f"{self._tail('qemu.log', 10)}{self._tail(command.CONSOLE, 30)}"
            ) from error

    def stop(self) -> None:
        """Shut the machine down cleanly, or switch it off when it does not follow in time."""
        with self._locked():
            if (running := process.find(self.directory, process.QEMU)) is not None:
                self._stop(running)

    def kill(self) -> None:
        """Cut the power."""
        if (running := process.find(self.directory, process.QEMU)) is not None:
            process.end(running)

    def delete(self) -> None:
        """Remove the machine and everything of it but its data disks. Nothing happens when it is gone."""
        self.kill()
        if (definition := self.definition) is not None:
            command.port_socket(self.stack.network, definition).unlink(missing_ok=True)
        files.remove_tree(self.directory)

    def _defined(self) -> Definition:
        if (definition := self.definition) is None:
            raise MachineError(f"machine {self.name} does not exist in {self.stack.root}")
        return definition

    def _refuse_taken_address(self, spec: MachineSpec) -> None:
        wanted = spec.private_address
        for name in self.stack.machine_names():
            other = Definition.load(self.stack.machine(name))
            if name != self.name and other is not None and other.private_address == wanted:
                raise MachineError(f"machine {self.name}: the private address {wanted} is machine {name}'s")

    def _launch(self, words: list[str]) -> None:
        log = self.directory / "qemu.log"
        deadline = time.monotonic() + START_SECONDS
        with process.started(words, self.directory, log) as has_ended:
            while time.monotonic() < deadline:
                if has_ended():
                    said = log.read_text(errors="replace").strip()
                    raise MachineError(f"machine {self.name} did not start: QEMU ended: {said}")
                try:
                    qmp.execute(self.directory, "query-status")
                except qmp.QmpError:
                    time.sleep(0.05)
                    continue
                return
        raise MachineError(f"machine {self.name}: QEMU runs, but its monitor did not answer in {START_SECONDS:.0f} s")

    def _stop(self, running: Process) -> None:
        try:
            qmp.execute(self.directory, "system_powerdown")
            if process.wait_gone(running, SHUTDOWN_SECONDS):
                return
            # Writes out what QEMU itself still holds, unlike a signal that it cannot catch.
            qmp.execute(self.directory, "quit")
        except qmp.QmpError:
            process.end(running, signal.SIGTERM)
            return
        if not process.wait_gone(running, 30.0):
            process.end(running)

    def _tail(self, name: str, lines: int) -> str:
        try:
            said = (self.directory / name).read_text(errors="replace").splitlines()[-lines:]
        except OSError:
            return ""
        return "".join(f"    {line}\n" for line in said)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """One step at a time on a machine, across processes; a killed holder leaves nothing locked."""
        if not self.directory.is_dir():
            raise MachineError(f"machine {self.name} does not exist in {self.stack.root}")
        with (self.directory / "lock").open("w") as lock:
            flock(lock, LOCK_EX)
            yield


def _free_address(place: str) -> str:
    """A loopback address for the machine in this place on which nobody listens now."""
    for attempt in range(16):
        address = loopback_address(place, attempt)
        with socket.socket() as probe:
            try:
                probe.bind((address, SSH_PORT))
            except OSError:
                continue
        return address
    raise MachineError(f"no free loopback address for the machine in {place}")
