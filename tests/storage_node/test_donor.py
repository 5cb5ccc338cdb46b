"""Who is given a member's brick, and what: over real TLS."""

from __future__ import annotations

import re
import socket
import ssl

import pytest

from storage_node.cluster import brick, wire
from storage_node.errors import NodeError
from tests.authority import Authority
from tests.storage_node.bricks import make
from tests.storage_node.pool import LOST, Pool, equip

pytestmark = pytest.mark.cluster


@pytest.mark.parametrize("name", ["shop", "storage-1"])
def test_only_another_member_is_given_anything(pool: Pool, name: str) -> None:
    make(pool.brick("storage-1"))
    pool.listen("storage-1")
    # With a certificate of the authority for another name, or that of the one that gives.
    equip(pool.paths(LOST), pool.authority, name)
    for want in ("account", "brick"):
        with wire.to(pool.paths(LOST), pool.cluster.member("storage-1")) as asked:
            asked.say({"want": want})
            with pytest.raises(NodeError, match=f"storage-1 refuses: '{name}' is no other member of this cluster"):
                asked.hear()
    # With one of another authority.
    equip(pool.paths(LOST), Authority(), LOST)
    with pytest.raises(OSError, match="certificate"), wire.to(pool.paths(LOST), pool.cluster.member("storage-1")):
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
    with wire.to(pool.paths(LOST), pool.cluster.member("storage-1")) as asked:
        asked.say({"want": "/etc/shadow"})
        with pytest.raises(NodeError, match="'/etc/shadow' is nothing that a member gives"):
            asked.hear()


def test_another_member_is_told_by_which_id_a_name_is_known(pool: Pool) -> None:
    make(pool.brick("storage-1"))
    pool.listen("storage-1")

    def ask(path: object) -> object:
        with wire.to(pool.paths(LOST), pool.cluster.member("storage-1")) as asked:
            asked.say({"want": "identity", "path": path})
            return asked.hear()["identity"]

    there = {name: ask(name) for name in ("shop", "shop/data", "shop/config", "blog/link")}
    assert there == {name: brick.identity(pool.brick("storage-1") / name) for name in there}
    assert len(set(there.values())) == 4
    # Also below what is a file here.
    assert [ask(name) for name in ("nowhere", "nowhere/data", "shop/config/00", "blog/\udcff")] == [None] * 4
    for path in ("../brick-1/shop", "shop/../blog", "/etc/passwd", None, ["shop"]):
        with pytest.raises(NodeError, match=re.escape(f"storage-1 refuses: {path!r} is no path in the volume.")):
            ask(path)
