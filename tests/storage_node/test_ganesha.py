"""The NFS server of a member: its exports, and a server that lacks some of them."""

from __future__ import annotations

import ipaddress
import os
import signal
from pathlib import Path

import pytest

from storage_node.cluster import ganesha
from storage_node.errors import NodeError
from storage_node.exports import Export
from storage_node.paths import Paths

pytestmark = pytest.mark.cluster


def export(name: str, uid: int, writers: list[str], readers: list[str] | None = None) -> Export:
    blocks = [tuple(ipaddress.ip_network(each) for each in found) for found in (writers, readers or [])]
    return Export(f"/data/{name}", uid, *blocks)


def test_each_environment_is_an_export_of_its_own_squashed_to_its_own_user() -> None:
    text = ganesha.render([export("shop", 200004, ["10.1.0.0/16"], ["10.2.0.3"]), export("idle", 200005, [])])
    assert text.count("EXPORT {") == 1
    assert "Export_Id = 5;" in text
    assert "Anonymous_Uid = 200004;" in text
    assert 'Volpath = "/shop";' in text
    # The first block that fits decides, so the single reader stands before the range.
    assert text.index("Clients = 10.2.0.3/32; Protocols = 4; Access_Type = RO;") < text.index("Clients = 10.1.0.0/16;")
    assert "Squash = All_Squash;" in text
    assert "Access_Type = None;" in text


def test_a_user_number_beyond_what_ganesha_can_export_is_refused() -> None:
    assert ganesha.export_id(200000) == 1
    with pytest.raises(NodeError, match="can ever have had 65535 environments"):
        ganesha.export_id(200000 + 0xFFFF)


def test_a_server_s_exports_outlast_a_change_of_its_other_settings(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    assert not ganesha.configure(paths)
    assert paths.ganesha.read_text() == ganesha.render([])
    served = ganesha.render([export("docs", 200001, ["10.1.0.0/16"]), export("shop", 200004, ["10.1.0.0/16"])])
    paths.ganesha.write_text(served)
    assert not ganesha.configure(paths)
    paths.ganesha.write_text(served.replace("Cache_FDs = false", "Cache_FDs = true"))
    assert ganesha.configure(paths)
    assert paths.ganesha.read_text() == served


def test_a_server_that_lacks_exports_is_asked_for_them_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = Paths(tmp_path)
    text = ganesha.render([export("shop", 200004, ["10.1.0.0/16"])])
    for file, content in ((paths.ganesha, text), (paths.ganesha_loaded, ganesha._digest(text))):
        file.parent.mkdir(parents=True)
        file.write_text(content)
    paths.at("/run/ganesha/pid").write_text(str(os.getpid()))
    now, hangups = [0.0], [0.0]
    hangups.clear()

    def sleep(seconds: float) -> None:
        now[0] += seconds

    def exported() -> set[str] | None:
        # It does not answer for 30 s, and cannot reach the volume for another 20 s.
        if now[0] < 30:
            return None
        return {"/data/shop"} if hangups and hangups[-1] > 50 else set()

    def kill(pid: int, number: int) -> None:
        assert pid == os.getpid()
        if number == signal.SIGHUP:
            hangups.append(now[0])

    monkeypatch.setattr("time.sleep", sleep)
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    monkeypatch.setattr("os.kill", kill)
    monkeypatch.setattr(ganesha, "_exported", exported)
    ganesha.settle(paths)
    assert 2 <= len(hangups) <= 4
    assert hangups[0] >= 30
    hangups.clear()
    monkeypatch.setattr(ganesha, "_exported", set[str])
    with pytest.raises(NodeError, match="does not export /data/shop"):
        ganesha.settle(paths)
