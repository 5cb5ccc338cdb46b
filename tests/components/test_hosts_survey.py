"""The look at hosts while a change is previewed, against an SSH server that plays the machine."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from components.platforms.hosts_survey import HostsProvider, elevation
from tests.engine.ssh_server import Loop, Server, serving

pytestmark = [pytest.mark.components, pytest.mark.hosts]

DEBIAN = 'PRETTY_NAME="Debian GNU/Linux 13 (trixie)"\nID=debian\nVERSION_ID="13"\n'


@pytest.fixture(scope="module")
def loop() -> Iterator[Loop]:
    running = Loop()
    yield running
    running.stop()


@pytest.fixture
def ssh(loop: Loop) -> Iterator[Server]:
    with serving(loop, Server()) as server:
        yield server


class Programs:
    """The only programs that the machine has; each test changes what it needs to."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.release(DEBIAN)
        self.says("sudo", 'shift; exec "$@"')
        self.answers()
        for name in ("env", "true"):
            self.link(name)

    def says(self, name: str, script: str) -> None:
        self.remove(name)
        (self.directory / name).write_text(f"#!/bin/sh\n{script}\n")
        (self.directory / name).chmod(0o755)

    def release(self, text: str) -> None:
        self.says("cat", f"printf '%s' '{text}'")

    def answers(self, *problems: str) -> None:
        said = ", ".join(f'"{problem}"' for problem in problems)
        self.says("python3", f"printf '%s' '{{\"problems\": [{said}]}}'")

    def remove(self, name: str) -> None:
        (self.directory / name).unlink(missing_ok=True)

    def link(self, name: str) -> None:
        """This computer's own program."""
        self.remove(name)
        (self.directory / name).symlink_to(shutil.which(name, path=os.defpath) or name)


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Programs:
    directory = tmp_path / "programs"
    directory.mkdir()
    monkeypatch.setenv("PATH", str(directory))
    monkeypatch.delenv("SSH_CONNECTION", raising=False)
    return Programs(directory)


def props(ssh: Server, *changes: dict[str, Any], **shared: Any) -> dict[str, Any]:
    """What the engine hands over: one host for each of ``changes``."""
    host = {
        "node": "storage-1",
        "address": "127.0.0.1",
        "privateAddress": "10.0.0.7",
        "port": float(ssh.port),
        "user": "root",
        "hostKey": ssh.host_key_line,
        "device": "/dev/disk/by-id/no-such-disk",
        "filesystem": "0b6ae2ff-0000-4000-8000-000000000001",
    }
    given = {"stack": "test", "sizeGb": 10.0, "adminCidrs": ["127.0.0.1"], "privateKey": ssh.private_key, **shared}
    return {**given, "hosts": [{**host, **change} for change in changes or ({},)], "__provider": "x"}


def problems(news: dict[str, Any], olds: dict[str, Any] | None = None) -> list[tuple[str, str]]:
    result = HostsProvider().check(olds or {}, news)
    assert result.inputs == news
    return [(failure.property, failure.reason) for failure in result.failures]


def problem(news: dict[str, Any]) -> str:
    ((where, text),) = problems(news)
    assert where == "hosts[0]"
    return text


def test_a_machine_that_fits_is_taken(ssh: Server, programs: Programs) -> None:
    assert problems(props(ssh)) == []
    assert ssh.connections == 1


def test_a_machine_of_which_nothing_changed_is_not_connected_to(ssh: Server, programs: Programs) -> None:
    assert problems(props(ssh), props(ssh)) == []
    assert ssh.connections == 0


def test_of_several_only_the_changed_one_is_connected_to(ssh: Server, programs: Programs) -> None:
    down = {"node": "storage-2", "port": 1.0}
    olds, news = props(ssh, {}, down), props(ssh, {"privateAddress": "10.0.0.8"}, down)
    assert problems(news, olds) == []
    assert ssh.connections == 1


@pytest.mark.parametrize("changed", [{"sizeGb": 20.0}, {"adminCidrs": ["192.0.2.1"]}])
def test_what_concerns_every_machine_has_all_looked_at(
    ssh: Server, programs: Programs, changed: dict[str, Any]
) -> None:
    assert problems(props(ssh, {}, {"port": float(ssh.port)}, **changed), props(ssh, {}, {})) == []
    assert ssh.connections == 2


def test_another_key_of_the_host_is_refused_before_it_is_logged_in_to(ssh: Server, programs: Programs) -> None:
    other = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode().strip()
    text = problem(props(ssh, {"hostKey": other}))
    assert text.startswith(f"backup-storage:hosts[0] (root@127.0.0.1:{ssh.port}): It answers with another host key")
    assert ssh.commands == []


def test_a_host_key_of_a_type_that_the_host_has_not_is_refused_too(ssh: Server, programs: Programs) -> None:
    other = asyncssh.generate_private_key("ecdsa-sha2-nistp256").export_public_key().decode().strip()
    assert "It answers with another host key" in problem(props(ssh, {"hostKey": other}))


def test_a_host_with_several_keys_proves_itself_with_the_pinned_one(loop: Loop, programs: Programs) -> None:
    keys = [asyncssh.generate_private_key(kind) for kind in ("ssh-ed25519", "ssh-rsa", "ecdsa-sha2-nistp384")]
    with serving(loop, Server(), *keys) as server:
        for key in keys:
            assert problems(props(server, {"hostKey": key.export_public_key().decode().strip()})) == []


def test_a_key_that_the_machine_does_not_know_is_refused(ssh: Server, programs: Programs) -> None:
    stranger = asyncssh.generate_private_key("ssh-ed25519").export_private_key().decode()
    assert "It does not let root in with the key of sshPrivateKey" in problem(props(ssh, privateKey=stranger))


def test_a_machine_that_does_not_answer_is_named(ssh: Server, programs: Programs) -> None:
    text = problem(props(ssh, {"port": 1.0}))
    assert "(root@127.0.0.1:1): It cannot be reached (" in text
    assert "Connect call failed" in text


@pytest.mark.parametrize("password", [None, "passphrase"])
def test_a_private_key_that_cannot_be_used_is_refused_without_showing_it(
    ssh: Server, programs: Programs, password: str | None
) -> None:
    locked = ssh.client_key.export_private_key("pkcs8-pem", passphrase="passphrase").decode()
    text = locked if password else "no-key-at-all"
    ((where, said),) = problems(props(ssh, privateKey=text))
    assert where == "privateKey"
    assert said.startswith("backup-storage:sshPrivateKey is no private key without a passphrase: ")
    assert not any(line in said for line in text.splitlines())


@pytest.mark.parametrize(
    ("release", "found"),
    [
        (
            'ID=debian\nVERSION_ID="12"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n',
            "Debian GNU/Linux 12 (bookworm)",
        ),
        ('ID=ubuntu\nVERSION_ID="13"\n', "ubuntu"),
        ("", "no /etc/os-release"),
    ],
)
def test_another_distribution_is_named(ssh: Server, programs: Programs, release: str, found: str) -> None:
    programs.release(release)
    assert problem(props(ssh)).endswith(f": It runs {found}; a node needs Debian 13.")


def test_a_user_without_sudo_is_told_what_is_missing(ssh: Server, programs: Programs) -> None:
    programs.says("sudo", "echo 'sudo: a password is required' >&2; exit 1")
    text = problem(props(ssh, {"user": "admin"}))
    assert "admin may not use sudo without a password (sudo: a password is required)" in text
    assert "`admin ALL=(ALL) NOPASSWD: ALL`" in text


@pytest.mark.parametrize("user", ["root", "admin"])
def test_a_machine_without_python_is_told_how_to_get_it(ssh: Server, programs: Programs, user: str) -> None:
    programs.remove("python3")
    assert "run `apt-get install python3` there" in problem(props(ssh, {"user": user}))


def test_what_the_node_program_finds_is_handed_on(ssh: Server, programs: Programs) -> None:
    programs.answers("First.", "Second.")
    who = f"backup-storage:hosts[0] (root@127.0.0.1:{ssh.port})"
    assert problems(props(ssh)) == [("hosts[0]", f"{who}: First."), ("hosts[0]", f"{who}: Second.")]


def test_a_look_that_fails_is_a_problem(ssh: Server, programs: Programs) -> None:
    programs.says("python3", "echo 'out of memory' >&2; exit 3")
    assert problem(props(ssh)).endswith(": It could not be looked at: out of memory.")


def test_all_problems_of_all_machines_are_told_at_once(ssh: Server, programs: Programs) -> None:
    programs.release("ID=ubuntu\n")
    programs.says("sudo", "exit 1")
    found = problems(props(ssh, {"user": "admin"}, {"port": 1.0}))
    assert [where for where, _ in found] == ["hosts[0]", "hosts[0]", "hosts[1]"]


@pytest.mark.parametrize("user", ["root", "admin"])
def test_the_node_program_runs_out_of_memory_and_sees_where_the_session_comes_from(
    ssh: Server, programs: Programs, user: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs.link("python3")
    programs.says("sudo", 'shift; unset SSH_CONNECTION; exec "$@"')
    monkeypatch.setenv("SSH_CONNECTION", "192.0.2.1 51000 127.0.0.1 22")
    found = [text for _, text in problems(props(ssh, {"user": user}))]
    assert any("this SSH session comes from 192.0.2.1, and only 127.0.0.1/32 would be let in" in text for text in found)
    assert any("It has no disk /dev/disk/by-id/no-such-disk" in text for text in found)


def test_root_needs_no_sudo() -> None:
    assert elevation("root") == ""


def test_only_what_is_said_of_the_machines_makes_a_change(ssh: Server) -> None:
    news = props(ssh)
    assert not HostsProvider().diff("hosts", {**news, "__provider": "older"}, news).changes
    assert HostsProvider().diff("hosts", props(ssh, {"user": "admin"}), news).changes
