"""Environments come, change, go and come back, on a real storage with real repositories."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from components.qemu.layout import StackDirectory
from components.qemu.machine import Machine
from demo.shell import Shell
from tests.machines.conftest import ENVIRONMENTS
from tests.project import Project

pytestmark = [pytest.mark.long, pytest.mark.machine, pytest.mark.environments]


@pytest.fixture
def storage(standalone: Project) -> Iterator[Project]:
    """The shared storage, with its environments as they were once the test is over."""
    yield standalone
    configure(standalone)
    standalone.make("up")


def configure(project: Project, **changed: dict[str, Any] | None) -> None:
    """Sets the environments: the usual ones, with those that are named changed, new, or (None) taken out."""
    wanted = {name: values for name, values in {**ENVIRONMENTS, **changed}.items() if values is not None}
    project.configure(environments=wanted)


def password(project: Project, name: str = "shop") -> str:
    return str(project.outputs()["addon"]["environments"][name]["password"])


def opens(operator: Shell, secret: str, name: str = "shop") -> bool:
    """Whether a password opens a repository, tried by restic itself on the node."""
    line = f"restic --no-cache --no-lock --repo /data/{name} cat config"
    return operator.attempt(line, stdin=secret + "\n").status == 0


def keys(operator: Shell, name: str = "shop") -> int:
    return len(operator.run(f"ls /data/{name}/keys").split())


def test_a_new_environment_is_shown_by_name_and_nothing_else_changes(storage: Project) -> None:
    configure(storage, docs={"clients": ["10.77.0.103"]})
    preview = storage.make("preview").stdout
    assert "docs" in preview
    assert "10.77.0.103" in preview
    assert "to create" not in preview
    assert "~ 2 to update" in preview
    assert "storage-1-configure" not in preview
    assert password(storage) not in preview


def test_a_raised_generation_turns_the_password(storage: Project) -> None:
    old = password(storage)
    configure(storage, shop={**ENVIRONMENTS["shop"], "generation": 2})
    storage.make("up")
    new = password(storage)
    with storage.operator() as operator:
        assert new != old
        assert opens(operator, new)
        assert not opens(operator, old)
        assert keys(operator) == 2, "the environment's own key and the reader's"


def test_a_grant_that_is_taken_back_takes_key_and_export_with_it(storage: Project) -> None:
    granted = storage.outputs()["addon"]["environments"]["blog"]["restoreFrom"]["shop"]["password"]
    with storage.operator() as operator:
        assert opens(operator, granted)
        configure(storage, shop={"clients": ["10.77.0.101"]})
        storage.make("up")
        assert not opens(operator, granted)
        assert keys(operator) == 1
        assert "10.77.0.102(" not in operator.run("grep ^/data/shop /etc/exports.d/backup-storage.exports")
    assert storage.outputs()["addon"]["environments"]["blog"]["restoreFrom"] == {}


def test_a_removed_environment_is_withdrawn_and_works_again_when_it_is_put_back(storage: Project) -> None:
    before = password(storage, "blog")
    with storage.operator() as operator:
        operator.run("cp -a /data/blog/config /root/config-before")
        configure(storage, blog=None, shop={"clients": ["10.77.0.101"]})
        storage.make("up")
        assert json.loads(operator.run("/root/getBackups.sh"))["envs"] == ["shop"]
        assert "/data/blog" not in operator.run("exportfs -s")
        assert operator.attempt("test -e /etc/storage-node/passwords/blog").status != 0
        operator.run("cmp /data/blog/config /root/config-before")
        configure(storage)
        storage.make("up")
        assert password(storage, "blog") == before
        assert opens(operator, before, "blog")
        assert keys(operator, "blog") == 1
        operator.run("cmp /data/blog/config /root/config-before")


def test_a_removed_environment_opens_again_after_the_nodes_system_disk_was_lost(storage: Project) -> None:
    before = password(storage, "blog")
    with storage.operator() as operator:
        known = operator.run("sha256sum /data/blog/config")
    configure(storage, blog=None, shop={"clients": ["10.77.0.101"]})
    storage.make("up")
    Machine(StackDirectory(storage.root / ".state/local/test"), "storage-1").delete()
    storage.make("refresh")
    storage.make("up")
    with storage.operator() as operator:
        assert operator.attempt("ls /etc/storage-node/withdrawn/blog").status != 0, "the node still knows the password"
    configure(storage)
    storage.make("up")
    with storage.operator() as operator:
        assert operator.run("sha256sum /data/blog/config") == known
        assert opens(operator, before, "blog")
        assert keys(operator, "blog") == 1


def test_purge_deletes_what_is_named_when_asked_twice_and_nothing_else(storage: Project) -> None:
    configure(storage, docs={"clients": ["10.77.0.103"]})
    storage.make("up")
    assert "is an environment of this stack" in storage.make("purge", ENV="docs", CONFIRM="docs", check=False).stdout
    configure(storage)
    storage.make("up")
    with storage.operator() as operator:
        asked = storage.make("purge", ENV="docs", check=False)
        assert asked.returncode != 0
        assert "docs" in asked.stdout
        operator.run("test -d /data/docs")
        storage.make("purge", ENV="docs", CONFIRM="docs")
        assert operator.run("ls /data").split() == ["blog", "shop"]


def test_a_repository_with_an_unknown_password_is_left_alone_and_named(storage: Project) -> None:
    with storage.operator() as operator:
        operator.run("mkdir /data/docs && restic -q --no-cache init --repo /data/docs", stdin="unknown\nunknown\n")
        before = operator.run("find /data/docs -type f | sort | xargs sha256sum")
        configure(storage, docs={"clients": ["10.77.0.103"]})
        refused = storage.make("up", check=False)
        assert refused.returncode != 0
        assert "docs" in refused.stdout
        assert operator.run("find /data/docs -type f | sort | xargs sha256sum") == before
        assert json.loads(operator.run("/root/getBackups.sh shop"))["result"] == 0
        operator.run("rm -r /data/docs")
    storage.make("up")
    with storage.operator() as operator:
        assert opens(operator, password(storage, "docs"), "docs")
