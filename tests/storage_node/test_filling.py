"""A lost member's fresh brick is filled by a copy of another's: over real TLS, by the real tar, into a directory."""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import shutil
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from storage_node.cluster import brick, donor, filling, fresh, glusterd, pending, wire
from storage_node.errors import NodeError
from storage_node.paths import Paths
from tests.authority import Authority
from tests.storage_node import nodes

pytestmark = pytest.mark.cluster

NAMES = ("storage-1", "storage-2", "storage-3")
LOST = "storage-2"
ROOT_ID = bytes(15) + b"\1"
WHOLE, LACKS = bytes(12), bytes(11) + b"\1"


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
        for name in NAMES:
            nodes.store_member(self.paths(name), name, self.cluster)
            equip(self.paths(name), self.authority, name)
            self.paths(name).at("/brick").mkdir()
        monkeypatch.setattr(pending, "clients", lambda _: self.known)
        monkeypatch.setattr(fresh, "is_noted", lambda _: self.changing)
        monkeypatch.setattr(filling, "ACCOUNT_SECONDS", 0.0)
        self.port = _free_port()
        monkeypatch.setattr(filling, "DONOR_PORT", self.port)
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
        for name in NAMES:
            if name != LOST:
                make(self.brick(name))
                self.listen(name)

    def fill(self) -> bool:
        return filling.fill(self.paths(LOST), LOST, self.cluster, self.place)


def _free_port() -> int:
    with socket.create_server(("127.77.0.1", 0)) as free:
        return int(free.getsockname()[1])


@pytest.fixture
def pool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pool]:
    with contextlib.ExitStack() as stack:
        yield Pool(tmp_path, monkeypatch, stack)


def make(root: Path) -> None:
    """A brick as GlusterFS makes it, with an environment's repository, a file of two names and a symbolic link.

    It is the same each time, as the copies of a volume are.
    """
    source = random.Random(0)  # noqa: S311 - content
    (root / ".glusterfs/indices/xattrop").mkdir(parents=True)
    (root / ".glusterfs").chmod(0o600)
    (root / ".trashcan").mkdir()
    above = brick.handle(root, filling.text_of(ROOT_ID))
    for place in (above.parent.parent, above.parent):
        place.mkdir(mode=0o700, exist_ok=True)
    above.symlink_to("../../..")
    os.setxattr(root, "trusted.gfid", ROOT_ID)
    os.setxattr(root, "trusted.glusterfs.volume-id", b"v" * 16)
    for directory in ("shop", "shop/data", "shop/data/00", "shop/data/.glusterfs", "blog"):
        (root / directory).mkdir()
        _identify(root, root / directory, source)
    for name, size in {"shop/config": 155, "shop/data/00/pack": 3_000_000, "blog/empty": 0}.items():
        (root / name).write_bytes(source.randbytes(size))
        _identify(root, root / name, source)
        os.setxattr(root / name, "trusted.gfid2path.0123", b"\0\xff/" + name.encode())
    os.link(root / "shop/config", root / "blog/config")
    (root / "blog/link").symlink_to("../shop/nowhere")
    _identify(root, root / "blog/link", source)
    os.chown(root / "shop", 20001, 20001)
    (root / "shop").chmod(0o2700)
    os.chown(root / "blog/link", 20002, 20002, follow_symlinks=False)
    os.utime(root / "shop/data/00", (1_700_000_000, 1_700_000_001))


def _identify(root: Path, entry: Path, source: random.Random) -> None:
    identity = source.randbytes(16)
    os.setxattr(entry, "trusted.gfid", identity, follow_symlinks=False)
    handle = brick.handle(root, filling.text_of(identity))
    for directory in (handle.parent.parent, handle.parent):
        directory.mkdir(mode=0o700, exist_ok=True)
    if entry.is_dir() and not entry.is_symlink():
        above = filling.text_of(os.getxattr(entry.parent, "trusted.gfid"))
        handle.symlink_to(f"../../{above[:2]}/{above[2:4]}/{above}/{entry.name}")
    else:
        os.link(entry, handle, follow_symlinks=False)


def accuse(root: Path, entry: str, client: str, parts: bytes) -> None:
    """Notes beside an entry what another brick lacks of it, and lists it."""
    os.setxattr(root / entry, f"trusted.afr.{client}", parts, follow_symlinks=False)
    identity = filling.text_of(os.getxattr(root / entry, "trusted.gfid", follow_symlinks=False))
    (root / ".glusterfs/indices/xattrop" / identity).touch()


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def picture(root: Path) -> dict[str, object]:
    """All that is to be the same on two bricks, by the entry's name."""
    found: dict[str, object] = {}
    for entry in [root, *root.rglob("*")]:
        name = str(entry.relative_to(root))
        # The brick makes these itself when it starts.
        if name.startswith((".glusterfs/indices", ".glusterfs/00", ".trashcan")):
            continue
        own = name.startswith(".glusterfs/") and entry.is_dir() and not entry.is_symlink()
        status = entry.lstat()
        attributes = {
            key: os.getxattr(entry, key, follow_symlinks=False)
            for key in os.listxattr(entry, follow_symlinks=False)
            if not key.startswith(("trusted.afr.", "trusted.glusterfs.volume-id"))
        }
        content = entry.readlink() if entry.is_symlink() else _digest(entry) if entry.is_file() else None
        # Directories of GlusterFS's own are changed by what is made in them, as the root is.
        changed = None if own or name in {".", ".glusterfs"} or entry.is_symlink() else status.st_mtime_ns
        links = None if entry.is_dir() and not entry.is_symlink() else status.st_nlink
        found[name] = (status.st_mode, status.st_uid, status.st_gid, changed, links, attributes, content)
    return found


def test_a_lost_brick_is_filled_with_all_that_another_has(pool: Pool, capfd: pytest.CaptureFixture[str]) -> None:
    pool.others_give()
    # What the lost one lacks is what it is for.
    accuse(pool.brick("storage-1"), "shop/data", "data-client-1", LACKS)
    assert pool.fill()
    assert picture(pool.place) == picture(pool.brick("storage-1"))
    assert not any(key.startswith("trusted.afr") for key in os.listxattr(pool.place / "shop/data"))
    assert "filled by a copy of storage-1's: " in capfd.readouterr().err
    assert not pool.failures


def test_a_brick_that_lacks_something_is_not_copied(pool: Pool, capfd: pytest.CaptureFixture[str]) -> None:
    pool.others_give()
    # Marks that are taken back remain as noughts.
    accuse(pool.brick("storage-1"), "blog", "data-client-2", WHOLE)
    accuse(pool.brick("storage-3"), "blog/link", "data-client-0", LACKS)
    assert pool.fill()
    assert picture(pool.place) == picture(pool.brick("storage-3"))
    shutil.rmtree(pool.place)
    accuse(pool.brick("storage-1"), "blog", "data-client-2", LACKS)
    assert not pool.fill() and not pool.place.exists()
    assert "Each of the other bricks lacks something that another has" in capfd.readouterr().err


def test_while_bricks_come_nothing_is_copied(pool: Pool, capfd: pytest.CaptureFixture[str]) -> None:
    pool.others_give()
    pool.changing = True
    assert not pool.fill() and not pool.place.exists()
    assert "A change of the volume's bricks is under way" in capfd.readouterr().err


def doubt(root: Path, entry: str) -> None:
    """Lists an entry as one that is being changed."""
    (root / ".glusterfs/indices/dirty").mkdir(exist_ok=True)
    (root / ".glusterfs/indices/dirty/dirty-6f2a").touch()
    identity = filling.text_of(os.getxattr(root / entry, "trusted.gfid"))
    (root / ".glusterfs/indices/dirty" / identity).touch()


@pytest.mark.parametrize("when", ["before", "meanwhile"])
def test_what_may_bring_a_removed_name_back_is_no_copy(
    pool: Pool, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], when: str
) -> None:
    pool.others_give()
    # Of a file that is being written only its content is in doubt.
    doubt(pool.brick("storage-3"), "shop/data/00/pack")
    monkeypatch.setattr(brick, "CHANGING_SECONDS", 0.0)
    if when == "before":
        doubt(pool.brick("storage-3"), "shop/data/00")
    give = donor.give

    def given(place: Path, asking: wire.Connection) -> None:
        give(place, asking)
        doubt(pool.brick("storage-3"), "shop/data/00")

    monkeypatch.setattr(donor, "give", given)
    assert not pool.fill() and not pool.place.exists()
    assert "On storage-3 it is in doubt whether a name was changed" in capfd.readouterr().err


def test_a_change_that_comes_to_its_end_is_no_doubt(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    pool.others_give()
    doubt(pool.brick("storage-1"), "shop/data/00")
    monkeypatch.setattr(
        "storage_node.cluster.brick.time.sleep",
        lambda _: shutil.rmtree(pool.brick("storage-1") / ".glusterfs/indices/dirty", ignore_errors=True),
    )
    assert pool.fill()


def test_a_copy_of_what_came_to_lack_something_is_none(
    pool: Pool, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    pool.others_give()
    give = donor.give

    def given(place: Path, asking: wire.Connection) -> None:
        give(place, asking)
        accuse(pool.brick("storage-3"), "blog", "data-client-0", LACKS)

    monkeypatch.setattr(donor, "give", given)
    assert not pool.fill() and not pool.place.exists()
    assert "Meanwhile storage-1 has come to lack something" in capfd.readouterr().err


def test_a_new_member_starts_empty_without_a_word(pool: Pool, capfd: pytest.CaptureFixture[str]) -> None:
    # Nobody gives anything before there is a volume.
    assert not pool.fill()
    pool.others_give()
    del pool.known["127.77.0.2:/brick/brick-2"]
    assert not pool.fill() and not pool.place.exists()
    assert not capfd.readouterr().err


def test_without_the_account_of_all_others_nothing_is_copied(pool: Pool, capfd: pytest.CaptureFixture[str]) -> None:
    make(pool.brick("storage-1"))
    pool.listen("storage-1")
    assert not pool.fill() and not pool.place.exists()
    assert "left to be healed: storage-3 gives no account ([Errno 111]" in capfd.readouterr().err


def test_who_has_another_brick_than_the_volumes_gives_nothing(pool: Pool, capfd: pytest.CaptureFixture[str]) -> None:
    make(pool.brick("storage-1"))
    # Its disk is not there, or blank, or just filled.
    (pool.brick("storage-3").with_name("brick-0")).mkdir()
    for name in ("storage-1", "storage-3"):
        pool.listen(name)
    assert not pool.fill() and not pool.place.exists()
    words = "storage-3 gives no account (storage-3 refuses: The volume's brick on this member is not on its disk.)"
    assert words in capfd.readouterr().err


def test_each_part_of_a_dispersed_volume_is_on_one_brick_alone(pool: Pool) -> None:
    cluster = nodes.cluster(layout="dispersed")
    assert not filling.fill(pool.paths(LOST), LOST, cluster, pool.place)


@pytest.mark.parametrize("name", ["shop", "storage-1"])
def test_only_another_member_is_given_anything(pool: Pool, name: str) -> None:
    make(pool.brick("storage-1"))
    pool.listen("storage-1")
    # With a certificate of the authority for another name, or that of the one that gives.
    equip(pool.paths(LOST), pool.authority, name)
    for want in ("account", "brick"):
        with wire.to(pool.paths(LOST), "127.77.0.1", pool.port, 5.0) as asked:
            asked.say({"want": want})
            with pytest.raises(NodeError, match=f"storage-1 refuses: '{name}' is no other member of this cluster"):
                asked.hear()
    # With one of another authority.
    equip(pool.paths(LOST), Authority(), LOST)
    with pytest.raises(OSError, match="certificate"), wire.to(pool.paths(LOST), "127.77.0.1", pool.port, 5.0):
        pass
    # With none: refused by who gives, at the latest when it is asked for something.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with (
        socket.create_connection(("127.77.0.1", pool.port)) as plain,
        pytest.raises(OSError, match=r"certificate|reset|EOF"),
        context.wrap_socket(plain) as channel,
    ):
        channel.sendall(b'{"want": "brick"}\n')
        assert channel.recv(1)


def test_what_no_member_gives_is_refused(pool: Pool) -> None:
    make(pool.brick("storage-1"))
    pool.listen("storage-1")
    with wire.to(pool.paths(LOST), "127.77.0.1", pool.port, 5.0) as asked:
        asked.say({"want": "/etc/shadow"})
        with pytest.raises(NodeError, match="'/etc/shadow' is nothing that a member gives"):
            asked.hear()


def test_who_answers_has_to_be_the_member_of_that_address(pool: Pool, capfd: pytest.CaptureFixture[str]) -> None:
    make(pool.brick("storage-3"))
    pool.listen("storage-3")
    pool.listen("storage-1", lambda plain: donor.run(pool.paths("storage-3"), plain))
    assert not pool.fill()
    assert "Who answers at 127.77.0.1 is 'storage-3' by its certificate, and not storage-1" in capfd.readouterr().err


@pytest.mark.parametrize("at", ["before", "within", "after"])
def test_a_copy_that_breaks_off_leaves_nothing(
    pool: Pool, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], at: str
) -> None:
    pool.others_give()

    def give(place: Path, asking: wire.Connection) -> None:
        if at != "before":
            asking.send(bytes(10_000))
        if at == "after":
            asking.send(b"")
        raise ConnectionResetError(104, "Connection reset by peer")

    say = wire.Connection.say

    def refuse(self: wire.Connection, said: dict[str, object]) -> None:
        if "refused" in said:
            raise ConnectionResetError(104, "Connection reset by peer")
        say(self, said)

    monkeypatch.setattr(donor, "give", give)
    monkeypatch.setattr(wire.Connection, "say", refuse)
    assert not pool.fill() and not pool.place.exists()
    assert "left to be healed: storage-1 broke off" in capfd.readouterr().err


def test_a_brick_that_cannot_be_read_as_a_whole_is_no_copy(
    pool: Pool, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    pool.others_give()
    packed = " ".join(f"'{word}'" for word in donor.PACK)
    monkeypatch.setattr(donor, "PACK", ("sh", "-c", f"{packed}; exit 2"))
    assert not pool.fill() and not pool.place.exists()
    assert "storage-1 could not read all of its brick" in capfd.readouterr().err


def test_what_cannot_be_unpacked_is_no_copy(
    pool: Pool, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    pool.others_give()
    monkeypatch.setattr(donor, "PACK", ("echo", "no archive"))
    assert not pool.fill() and not pool.place.exists()
    said = capfd.readouterr().err
    assert "tar" in said and "What storage-1 gave could not be unpacked (tar, status 2)" in said


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda root: os.removexattr(root / "shop/data/00", "trusted.gfid"), "shop/data/00 was copied without its id"),
        (
            lambda root: os.setxattr(root / "blog", "trusted.gfid", os.getxattr(root / "shop", "trusted.gfid")),
            "was moved while it was copied",
        ),
        (
            lambda root: os.setxattr(
                root / "blog/empty", "trusted.gfid", os.getxattr(root / "shop/config", "trusted.gfid")
            ),
            "was moved while it was copied",
        ),
    ],
)
def test_what_was_being_made_or_moved_is_no_copy(
    pool: Pool, capfd: pytest.CaptureFixture[str], spoil: Callable[[Path], None], words: str
) -> None:
    pool.others_give()
    spoil(pool.brick("storage-1"))
    assert not pool.fill() and not pool.place.exists()
    assert words in capfd.readouterr().err


def test_a_brick_has_its_name_once_it_is_filled(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    disk = paths.at(paths.brick_mount)
    (disk / ".filling/shop").mkdir(parents=True)

    def fill(place: Path) -> bool:
        assert not place.exists() and not brick.there(paths)
        place.mkdir()
        (place / "blog").mkdir()
        return True

    place = disk / Path(brick.ensure(paths, fill)).name
    assert [entry.name for entry in disk.iterdir()] == [place.name]
    assert [entry.name for entry in place.iterdir()] == ["blog"]
    # One that is there is left as it is.
    assert brick.ensure(paths, lambda _: pytest.fail("it was filled again")) == f"/brick/{place.name}"
