"""The gluster command: what it counts, and what it refuses."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from storage_node import system
from storage_node.cluster import gluster
from storage_node.errors import AwayError
from storage_node.waiting import until
from tests.storage_node.nodes import UUIDS

pytestmark = pytest.mark.cluster

#: What glusterd says of its peers that has none.
ALONE = system.Result(0, "<cliOutput><opRet>0</opRet><peerStatus/></cliOutput>", "")


def test_the_entries_that_bricks_list_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    said = (
        "Gathering count of entries to be healed on volume data has been successful \n\n"
        "Brick 10.77.0.11:/brick/brick-0\nNumber of entries: 13\n\n"
        "Brick 10.77.0.12:/brick/brick-1\nNumber of entries: 12\n\n"
        "Brick 10.77.0.13:/brick/brick-2\nNo gathered input for this brick\n"
    )
    monkeypatch.setattr(system, "run", lambda *_, **__: system.Result(0, said, ""))
    counted = {"10.77.0.11:/brick/brick-0": 13, "10.77.0.12:/brick/brick-1": 12}
    assert gluster.listed("data") == counted
    monkeypatch.setattr(system, "run", lambda *_, **__: system.Result(1, "", "Connection failed."))
    assert gluster.listed("data") == {}
    # None are known of while another node has its turn; to look at all of them instead would keep them locked.
    busy = "Another transaction is in progress for data. Please try again after some time."
    answers = iter([system.Result(1, "", busy), system.Result(0, said, "")])
    monkeypatch.setattr(system, "run", lambda *_, **__: next(answers))
    monkeypatch.setattr("time.sleep", lambda _: None)
    assert gluster.listed("data") == counted


def test_the_volume_s_processes_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    said = [
        ("10.77.0.11", "/brick/brick-0", UUIDS[0], 1),
        ("10.77.0.12", "/brick/brick-1", UUIDS[1], 0),
        ("Self-heal Daemon", "localhost", UUIDS[0], 0),
        ("Self-heal Daemon", "10.77.0.12", UUIDS[1], 1),
    ]
    entries = "".join(
        f"<node><hostname>{host}</hostname><path>{path}</path><peerid>{member}</peerid><status>{runs}</status></node>"
        for host, path, member, runs in said
    )
    answer = system.Result(0, f"<cliOutput><opRet>0</opRet><volStatus>{entries}</volStatus></cliOutput>", "")
    monkeypatch.setattr(system, "run", lambda *_, **__: answer)
    assert gluster.running("data") == gluster.Running(
        {"10.77.0.11:/brick/brick-0": True, "10.77.0.12:/brick/brick-1": False}, {UUIDS[0]: False, UUIDS[1]: True}
    )


def test_the_volume_s_clients_are_counted_by_where_they_come_from(monkeypatch: pytest.MonkeyPatch) -> None:
    clients = "".join(
        f"<client><hostname>{name}</hostname><opVersion>110000</opVersion></client>"
        for name in ("10.77.0.11:49151", "10.77.0.11:49140", "10.77.0.12:49151")
    )
    answer = (
        "<cliOutput><opRet>0</opRet><volStatus><volumes><volume>"
        "<node><hostname>10.77.0.11</hostname><path>/brick/brick-0</path>"
        f"<clientsStatus><clientCount>3</clientCount>{clients}</clientsStatus></node>"
        "<node><hostname>10.77.0.12</hostname><path>/brick/brick-1</path><status>0</status></node>"
        "</volume></volumes></volStatus></cliOutput>"
    )
    monkeypatch.setattr(system, "run", lambda *_, **__: system.Result(0, answer, ""))
    assert gluster.clients("data") == {"10.77.0.11:/brick/brick-0": {"10.77.0.11": 2, "10.77.0.12": 1}}


def _answers(monkeypatch: pytest.MonkeyPatch, *refusals: str) -> list[int]:
    """glusterd refuses with these reasons, one after the other, and then does what it is told; counts the attempts."""
    asked = [0]

    def run(line: Sequence[str], **_: object) -> system.Result:
        if "peer" in line:
            return ALONE
        asked[0] += 1
        if asked[0] > len(refusals):
            return system.Result(0, "<cliOutput><opRet>0</opRet></cliOutput>", "")
        reason = refusals[asked[0] - 1]
        return system.Result(1, f"<cliOutput><opRet>-1</opRet><opErrstr>{reason}</opErrstr></cliOutput>", "")

    monkeypatch.setattr(system, "run", run)
    monkeypatch.setattr("time.sleep", lambda _: None)
    return asked


def test_a_cluster_that_is_at_other_work_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    busy = "Another transaction is in progress for data. Please try again after some time."
    asked = _answers(monkeypatch, busy, busy)
    gluster.change("volume", "create", "data", "replica", "3")
    assert asked == [3]


def test_a_refusal_that_stays_is_told_in_glusterds_words(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = _answers(monkeypatch, "Brick may be containing or be contained by an existing brick.")
    with pytest.raises(gluster.RefusedError, match="`gluster volume create data` was refused: Brick may be containing"):
        gluster.change("volume", "create", "data", "replica", "3")
    assert asked == [1]
    _answers(monkeypatch, *["Another transaction is in progress for data."] * 2)
    monkeypatch.setattr(gluster, "BUSY_SECONDS", -1.0)
    with pytest.raises(gluster.RefusedError, match="Another transaction is in progress"):
        gluster.change("volume", "create", "data", "replica", "3")


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        ("Locking failed on 10.77.0.12. Please check log file for details.", "Locking failed on 10.77.0.12"),
        ("", "`gluster volume set data` was refused: No reason was given, as when a member is lost before the end."),
    ],
)
def test_what_a_member_may_not_have_ended_is_not_just_said_again(
    monkeypatch: pytest.MonkeyPatch, reason: str, told: str
) -> None:
    """glusterd says the same of a member that is busy and of one that it has just lost; or nothing."""
    asked = _answers(monkeypatch, reason)
    with pytest.raises(AwayError, match=re.escape(told)):
        gluster.change("volume", "set", "data", "client.ssl", "on")
    assert asked == [1]
    # To look does no harm.
    asked = _answers(monkeypatch, reason)
    gluster.ask("volume", "status", "data")
    assert asked == [2]


def test_nothing_is_changed_while_a_member_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looked at when it is its turn: glusterd would go on without the member, and never tell it."""
    busy = "Another transaction is in progress for data. Please try again after some time."
    asked = _answers(monkeypatch, busy)
    looks = iter([True, False])
    monkeypatch.setattr(gluster, "peers", lambda: [gluster.Peer(UUIDS[1], gluster.IN_CLUSTER, next(looks))])
    with pytest.raises(AwayError, match="`gluster volume set data` has to wait: a member is not connected"):
        gluster.change("volume", "set", "data", "client.ssl", "on")
    assert asked == [1]


def test_a_command_that_was_not_answered_in_time_may_be_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    late = system.Result(1, "Error : Request timed out\n", "")
    monkeypatch.setattr(system, "run", lambda line, **_: ALONE if "peer" in line else late)
    with pytest.raises(AwayError, match="`gluster volume set data` gave no answer: Error : Request timed out"):
        gluster.change("volume", "set", "data", "client.ssl", "on")


@pytest.mark.parametrize("said", ["", '<?xml version="1.0" encoding="UTF-8"?>\n<cliOutput>\n  <healInfo>'])
def test_a_look_that_died_is_repeated_and_a_change_begins_anew(monkeypatch: pytest.MonkeyPatch, said: str) -> None:
    """As glfsheal may at its end; gluster itself then ends with what wait(2) told it, and may have no output."""
    died = system.Result(139, said, "")
    answers = iter([died, died, ALONE])
    monkeypatch.setattr(system, "run", lambda *_, **__: next(answers))
    assert gluster.heals("data") == []
    monkeypatch.setattr(system, "run", lambda line, **_: ALONE if "peer" in line else died)
    with pytest.raises(AwayError, match=r"^`gluster volume set data` died before it had answered\.$"):
        gluster.change("volume", "set", "data", "client.ssl", "on")
    monkeypatch.setattr(gluster, "BUSY_SECONDS", -1.0)
    with pytest.raises(AwayError, match="`gluster volume heal data` died before it had answered"):
        gluster.heals("data")


def test_a_command_that_hangs_ends_with_all_that_it_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """glfsheal outlives the command that started it, and keeps its locks."""
    pids, program = tmp_path / "pids", tmp_path / "gluster"
    program.write_text(f"#!/bin/sh\nsleep 300 &\necho $! >{pids}\nwait\n")
    program.chmod(0o755)
    monkeypatch.setattr(system, "PATH", f"{tmp_path}:{system.PATH}")
    monkeypatch.setattr(gluster, "TIMEOUT_SECONDS", 1.0)
    with pytest.raises(AwayError, match="`gluster volume heal data` did not end within 1 s"):
        gluster.heals("data")
    child = Path(f"/proc/{pids.read_text().strip()}/stat")

    def runs() -> str | None:
        # Killed, and perhaps not reaped yet by whoever adopted it.
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            return None if child.read_text().rpartition(")")[2].split()[0] == "Z" else "It runs on."
        return None

    until(runs, 30)
