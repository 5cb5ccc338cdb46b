"""The environments' repositories with restic itself."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from storage_node import environments, node, passwords, repositories, spec, status, system, waiting
from storage_node.cluster import ganesha, member
from storage_node.errors import NodeError
from storage_node.paths import Paths
from storage_node.restic import command
from storage_node.restic.command import Repository
from tests.storage_node import nodes
from tests.storage_node.nodes import entry, environments_spec, password

pytestmark = pytest.mark.usefixtures("restic")


def _repository(paths: Paths, name: str = "shop") -> Repository:
    path = paths.repository(name)
    return Repository(path, path.stat().st_uid)


def _key_users(paths: Paths, word: str, name: str = "shop") -> list[str]:
    listed = json.loads(command.run(_repository(paths, name), ["key", "list", "--json", "--no-lock"], word))
    return sorted(key["userName"] for key in listed)


def _opens(paths: Paths, word: str, name: str = "shop") -> bool:
    try:
        command.run(_repository(paths, name), ["cat", "config", "--no-lock"], word)
    except command.WrongPasswordError:
        return False
    return True


def test_a_life_from_creation_to_being_put_back(paths: Paths, configured: nodes.Services) -> None:
    first, second, third, reader = (password() for _ in range(4))
    done = environments.apply(paths, environments_spec(shop=entry(first, blog=(reader, "10.77.0.102"))))
    assert done["environments"] == {"shop": {"repository": "/data/shop", "created": True, "rotated": False}}
    assert done["health"]["healthy"], done["health"]["problems"]
    assert _key_users(paths, first) == ["environment", "reader:blog"]
    assert _opens(paths, reader)
    uid = _repository(paths).uid
    assert {path.stat().st_uid for path in paths.repository("shop").rglob("*")} == {uid}

    done = environments.apply(paths, environments_spec(shop=entry(second, blog=(reader, "10.77.0.102"))))
    assert done["environments"]["shop"]["rotated"]
    assert not _opens(paths, first)
    assert _key_users(paths, second) == ["environment", "reader:blog"]

    done = environments.apply(paths, environments_spec())
    assert done["withdrawn"] == ["shop"]
    assert paths.repository("shop").is_dir()
    assert not _opens(paths, reader)
    assert paths.exports.read_text().count("/data/shop") == 0

    done = environments.apply(paths, environments_spec(shop=entry(third)))
    assert done["environments"]["shop"] == {"repository": "/data/shop", "created": False, "rotated": True}
    assert _key_users(paths, third) == ["environment"]
    assert not _opens(paths, second)
    assert _repository(paths).uid == uid


def test_what_is_as_it_should_be_starts_no_restic(paths: Paths, configured: nodes.Services) -> None:
    words = environments_spec(shop=entry(password(), blog=(password(), "10.77.0.102")), blog=entry(password()))
    environments.apply(paths, words)
    configured.ran.clear()
    done = environments.apply(paths, words)
    assert set(configured.programs()) == {"nft"}
    assert not any(state["created"] or state["rotated"] for state in done["environments"].values())


def test_one_that_fails_stops_no_other_and_is_named(paths: Paths, configured: nodes.Services) -> None:
    theirs = Repository(paths.repository("theirs"), 0)
    theirs.path.mkdir()
    command.init(theirs, password())
    before = sorted((path, path.stat().st_mtime_ns) for path in theirs.path.rglob("*"))
    foreign = paths.repository("foreign")
    foreign.mkdir()
    (foreign / "thesis.tex").write_text("precious")
    words = {name: password() for name in ("foreign", "shop", "theirs")}
    with pytest.raises(NodeError) as failure:
        environments.apply(paths, environments_spec(**{name: entry(word) for name, word in words.items()}))
    assert "foreign: " in str(failure.value)
    assert "holds something that is no restic repository" in str(failure.value)
    assert "neither the stack's password nor one known to this node opens" in str(failure.value)
    assert not any(word in str(failure.value) for word in words.values())
    assert _opens(paths, words["shop"])
    assert passwords.active(paths) == ["shop"]
    assert "/data/shop" in paths.exports.read_text()
    assert "/data/theirs" not in paths.exports.read_text()
    assert sorted((path, path.stat().st_mtime_ns) for path in theirs.path.rglob("*")) == before
    assert (foreign / "thesis.tex").read_text() == "precious"


def test_a_volume_that_goes_away_while_repositories_are_made_is_waited_for(
    paths: Paths, configured: nodes.Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = replace(node.load(paths), name="storage-1", cluster=nodes.cluster())
    monkeypatch.setattr(node, "load", lambda _: settings)
    serving: list[str] = []
    monkeypatch.setattr(member, "serve", lambda *_: serving.append("served"))
    monkeypatch.setattr(ganesha, "apply", lambda *_: None)
    monkeypatch.setattr(status, "collect", lambda _: {})
    monkeypatch.setattr(waiting, "steadily", partial(waiting.steadily, poll=0))
    ensure, away = repositories.ensure, [OSError(errno.ENOTCONN, os.strerror(errno.ENOTCONN))]

    def ensure_later(paths: Paths, name: str, wanted: spec.Environment, uid: int) -> repositories.Outcome:
        if name == "shop" and away:
            raise away.pop()
        return ensure(paths, name, wanted, uid)

    monkeypatch.setattr(repositories, "ensure", ensure_later)
    words = {name: password() for name in ("forum", "shop")}
    done = environments.apply(paths, environments_spec(**{name: entry(word) for name, word in words.items()}))
    assert list(done["environments"]) == ["forum", "shop"]
    assert len(serving) == 2
    assert all(_opens(paths, word, name) for name, word in words.items())


def test_a_repository_that_vanished_is_not_made_again(paths: Paths, configured: nodes.Services) -> None:
    words = environments_spec(shop=entry(password()))
    environments.apply(paths, words)
    shutil.move(paths.repository("shop"), paths.root / "elsewhere")
    with pytest.raises(NodeError, match="has vanished, though this node made it"):
        environments.apply(paths, words)
    assert not paths.repository("shop").exists()


def test_a_new_machine_takes_over_the_disk_of_the_old(paths: Paths, configured: nodes.Services) -> None:
    words = environments_spec(shop=entry(password(), blog=(password(), "10.77.0.102")))
    environments.apply(paths, words)
    uid = _repository(paths).uid
    shutil.rmtree(paths.passwords)
    shutil.rmtree(paths.readers)
    configured.ran.clear()
    done = environments.apply(paths, words)
    assert done["environments"]["shop"] == {"repository": "/data/shop", "created": False, "rotated": False}
    assert "restic" not in configured.programs()
    assert _repository(paths).uid == uid


def test_two_directories_of_one_user_are_parted(paths: Paths, configured: nodes.Services) -> None:
    environments.apply(paths, environments_spec(shop=entry(first := password())))
    uid = _repository(paths).uid
    subprocess.run(["cp", "-a", paths.repository("shop"), paths.repository("zoo")], check=True)
    environments.apply(paths, environments_spec(shop=entry(first), zoo=entry(first)))
    assert _repository(paths).uid == uid
    assert _repository(paths, "zoo").uid != uid
    assert {path.stat().st_uid for path in paths.repository("zoo").rglob("*")} == {_repository(paths, "zoo").uid}


def test_a_full_disk_is_said_in_words(paths: Paths, configured: nodes.Services, tmp_path: Path) -> None:
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", paths.data], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("no right to mount")
    try:
        paths.data.chmod(0o711)
        with pytest.raises(NodeError, match=r"shop: .*the (data )?disk is full\. Raise sizeGb"):
            (paths.data / "filler").write_bytes(bytes(60 * 1024))
            environments.apply(paths, environments_spec(shop=entry(password())))
    finally:
        subprocess.run(["umount", paths.data], check=True)


def test_secrets_are_on_no_command_line_and_in_no_environment(
    paths: Paths, configured: nodes.Services, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    wrapper = tmp_path / "bin" / "restic"
    real = wrapper.rename(wrapper.with_name("restic-itself"))
    spy = tmp_path / "bin" / "seen"
    spy.touch()
    spy.chmod(0o666)
    wrapper.write_text(f'#!/bin/sh\n{{ tr "\\0" " " </proc/$$/cmdline; env; id; }} >>{spy}\nexec {real} "$@"\n')
    wrapper.chmod(0o755)
    first, second = password(), password()
    environments.apply(paths, environments_spec(shop=entry(first)))
    environments.apply(paths, environments_spec(shop=entry(second)))
    seen = spy.read_text()
    assert "key add" in seen
    assert first not in seen
    assert second not in seen
    assert f"uid={_repository(paths).uid} gid={_repository(paths).uid} groups={_repository(paths).uid}\n" in seen


def test_what_the_node_keeps_is_root_only(paths: Paths, configured: nodes.Services) -> None:
    word = password()
    environments.apply(paths, environments_spec(shop=entry(word, blog=(password(), "10.77.0.102"))))
    assert paths.repository("shop").stat().st_mode & 0o777 == 0o700
    for path in paths.settings.rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path
    holders = [p for p in paths.root.rglob("*") if p.is_file() and word.encode() in p.read_bytes()]
    assert holders == [paths.passwords / "shop"]


def test_a_stale_lock_is_taken_off_and_a_live_one_waited_for(
    paths: Paths, configured: nodes.Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = password()
    environments.apply(paths, environments_spec(shop=entry(first)))
    repository = _repository(paths)
    _leave_exclusive_lock(repository, first)
    assert any((repository.path / "locks").iterdir())
    environments.apply(paths, environments_spec(shop=entry(second := password())))
    assert _opens(paths, second)


def _leave_exclusive_lock(repository: Repository, word: str) -> None:
    """A prune that died: its process is gone, its lock is still there."""
    file = repository.path.parent / ".password"
    file.write_text(word)
    os.chown(file, repository.uid, repository.uid)
    process = subprocess.Popen(
        ["restic", "--no-cache", "-r", repository.path, "-p", file, "prune", "--repack-small"],
        env={"PATH": system.PATH, "RESTIC_PACK_SIZE": "4"},
        user=repository.uid,
        group=repository.uid,
        extra_groups=[],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    locks = repository.path / "locks"
    while process.poll() is None and not any(locks.iterdir()):
        pass
    process.kill()
    process.wait()
    file.unlink()


def test_an_interrupted_restic_init_is_begun_again(paths: Paths, configured: nodes.Services) -> None:
    leftover = paths.data / ".new-shop"
    (leftover / "keys").mkdir(parents=True)
    word = password()
    environments.apply(paths, environments_spec(shop=entry(word)))
    assert not leftover.exists()
    assert _opens(paths, word)


def test_users_and_exports_are_remembered(paths: Paths, configured: nodes.Services) -> None:
    environments.apply(paths, environments_spec(shop=entry(password(), ("10.1.0.0/16",))))
    (export,) = node.access(paths)
    assert export.uid == _repository(paths).uid == 200000
    assert [str(network) for network in export.writers] == ["10.1.0.0/16"]
