"""Bricks that come new into the volume: noted before, told of, and filled when everybody knows them."""

from __future__ import annotations

import errno
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from storage_node import system
from storage_node.cluster import fresh, gluster, glusterd, volume
from storage_node.cluster.gluster import Volume
from storage_node.errors import AwayError, NodeError
from storage_node.paths import Paths
from tests.storage_node.nodes import cluster
from tests.storage_node.volumes import NODE, Glusterd, bricks, directories, set_by, there

pytestmark = pytest.mark.cluster


class Failing:
    """glusterd that takes a change up, and fails at its end on the member that is named."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, stand_in: Glusterd, after: Volume, where: str) -> None:
        self.stand_in, self.after, self.where = stand_in, after, where
        self.told: list[list[str]] = []
        self.restarts = 0
        monkeypatch.setattr(gluster, "change", self.change)
        monkeypatch.setattr(glusterd, "restart", self.restart)
        monkeypatch.setattr(fresh, "tell", lambda _, fresh: self.told.append([brick.name for brick in fresh]))

    def restart(self) -> None:
        self.restarts += 1

    def change(self, *words: str) -> None:
        self.stand_in.change(*words)
        present = self.stand_in.present
        assert present is not None
        if words[1] in {"add-brick", "replace-brick"}:
            where, self.where = self.where, ""
            self.stand_in.present = replace(self.after, options=present.options)
            if where:
                raise gluster.RefusedError(
                    f"`gluster volume {words[1]}` was refused: Commit failed on {where}. Please …"
                )


def test_growth_adds_the_new_members_bricks_as_further_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in = Glusterd(monkeypatch, there(3), 5)
    volume.apply(NODE, cluster(5), directories(5))
    words = stand_in.said("add-brick")
    assert words is not None
    assert words[3:] == ("replica", "5", "10.77.0.14:/brick/brick-3", "10.77.0.15:/brick/brick-4")
    # Which bricks come is known from before until they are there.
    assert [words[1] for words in stand_in.changes] == ["set", "add-brick", "set"]
    assert fresh.note(bricks(5)[3:]).items() <= set_by(stand_in.changes[0])
    assert set_by(stand_in.changes[2]) == {"user.storage-node-fresh": "none", "cluster.self-heal-daemon": "on"}.items()


def test_nothing_is_healed_until_every_client_knows_the_bricks_that_came(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stand_in = Glusterd(monkeypatch, there(3), 5)
    current = stand_in.clients
    old = {brick.name: current[brick.name] + Counter({"10.77.0.12": 1}) for brick in bricks(3)}
    without = {name: clients for name, clients in current.items() if name != bricks(5)[4].name}
    seen = iter([without, current | old, current])

    def clients(_: str) -> dict[str, Counter[str]]:
        # Held back from before the bricks came.
        assert ("cluster.self-heal-daemon", "off") in set_by(stand_in.changes[0])
        assert stand_in.changes[-1][1] == "add-brick"
        return next(seen)

    monkeypatch.setattr(gluster, "clients", clients)
    volume.apply(NODE, cluster(5), directories(5))
    assert ("cluster.self-heal-daemon", "on") in set_by(stand_in.changes[-1])
    assert capsys.readouterr().err.splitlines()[:2] == [
        "The brick 10.77.0.15:/brick/brick-4 does not say yet who its clients are",
        "The clients on 10.77.0.12 do not all know the whole volume yet: 3 are connected to 10.77.0.11:/brick/brick-0, "
        "and 2 to 10.77.0.14:/brick/brick-3",
    ]
    stand_in.present = there(3)
    stand_in.changes.clear()
    stuck = current | old
    monkeypatch.setattr(gluster, "clients", lambda _: stuck)
    monkeypatch.setattr(volume, "KNOWN_SECONDS", -1.0)
    with pytest.raises(
        NodeError, match=r"on 10\.77\.0\.12 do not all know .*; run `pulumi up` again, until then nothing"
    ):
        volume.apply(NODE, cluster(5), directories(5))
    assert stand_in.changes[-1][1] == "add-brick"


def test_healing_does_not_begin_before_all_members_have_the_options(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in = Glusterd(monkeypatch, there(3), 5)
    failing = Failing(monkeypatch, stand_in, there(5), "")
    missed = replace(there(5), options={})

    def known(_: str, of: str | None = None) -> Volume | None:
        # The fifth misses what is set first.
        return missed if of == "10.77.0.15" and len(stand_in.changes) == 2 else stand_in.present

    monkeypatch.setattr(gluster, "volume", known)
    volume.apply(NODE, cluster(5), directories(5))
    verbs = [words[1] for words in stand_in.changes]
    assert verbs == ["set", "add-brick", "set", "set", "set"]
    assert set_by(stand_in.changes[0]) <= set_by(stand_in.changes[2])
    assert failing.told == [[brick.name for brick in bricks(5)[3:]]]


class Growing:
    """glusterd that takes up the bricks that it is told of, and what was done in which order."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, stand_in: Glusterd, left: Iterator[int]) -> None:
        self.stand_in, self.left, self.said = stand_in, left, list[str]()
        monkeypatch.setattr(gluster, "change", self.change)
        monkeypatch.setattr(gluster, "heals", self.heals)
        monkeypatch.setattr(fresh, "tell", lambda _, fresh: self.said.append("tell"))

    def change(self, *words: str) -> None:
        self.stand_in.change(*words)
        present = self.stand_in.present
        assert present is not None
        if words[1] == "set":
            self.said += [f"healing {value}" for key, value in set_by(words) if key == "cluster.self-heal-daemon"]
        elif words[1] in {"add-brick", "replace-brick"}:
            known = {brick.name: brick for brick in bricks(7)}
            new = [known[word] for word in words if word in known]
            kept = [brick for brick in present.bricks if brick.member not in {each.member for each in new}]
            self.stand_in.present = replace(present, bricks=(*kept, *new))
            self.said.append(f"{words[1]} {len(new)}")

    def heals(self, _: str) -> list[gluster.Heal]:
        count = next(self.left, 0)
        self.said.append("left" if count else "whole")
        return [gluster.Heal(heal.brick, count, 0) for heal in self.stand_in.heals]


COME = ["healing off", "{}", "healing on", "whole", "whole"]


def come(how: str) -> list[str]:
    return [step.format(how) for step in COME]


def test_no_brick_is_added_before_those_that_are_there_are_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    growing = Growing(monkeypatch, Glusterd(monkeypatch, there(3), 5), iter([2]))
    done = volume.apply(NODE, cluster(5), directories(5))
    assert growing.said == ["left", "whole", "whole", *come("add-brick 2")]
    assert done["healedEntries"] == 0
    # An attempt that ended between its note and its change left healing held back.
    held = replace(there(3), options=fresh.note(bricks(5)[3:]))
    growing = Growing(monkeypatch, Glusterd(monkeypatch, held, 5), iter([2]))
    volume.apply(NODE, cluster(5), directories(5))
    assert growing.said == ["healing on", "left", "whole", "whole", *come("add-brick 2")]
    # It goes on, too, where the growth was taken back.
    growing = Growing(monkeypatch, Glusterd(monkeypatch, held, 3), iter([]))
    volume.apply(NODE, cluster(), directories(3))
    assert growing.said == ["healing on", "whole", "whole"]


def test_those_that_are_whole_stay_a_majority(monkeypatch: pytest.MonkeyPatch) -> None:
    growing = Growing(monkeypatch, Glusterd(monkeypatch, there(3), 7), iter([]))
    done = volume.apply(NODE, cluster(7), directories(7))
    assert growing.said == ["whole", "whole", *come("add-brick 2"), "whole", "whole", *come("add-brick 2")]
    assert done["added"] == [brick.name for brick in bricks(7)[3:]]


def test_a_lost_brick_is_filled_before_others_are_added(monkeypatch: pytest.MonkeyPatch) -> None:
    growing = Growing(monkeypatch, Glusterd(monkeypatch, there(3, b0="/brick/brick-lost"), 5), iter([]))
    done = volume.apply(NODE, cluster(5), directories(5))
    looked = growing.said.pop(0)
    assert looked == "whole"
    # Healing is not held back for the lost one: all know its place.
    replaced = ["healing on", *come("replace-brick 1")[1:]]
    assert growing.said == [*replaced, "whole", "whole", *come("add-brick 2")]
    assert (done["replaced"], len(done["added"])) == ([bricks(1)[0].name], 2)


def test_bricks_whose_end_is_not_known_are_filled_before_others_are_added(monkeypatch: pytest.MonkeyPatch) -> None:
    grown = replace(there(5), options=fresh.note(bricks(5)[3:]))
    growing = Growing(monkeypatch, Glusterd(monkeypatch, grown, 7), iter([]))
    volume.apply(NODE, cluster(7), directories(7))
    assert growing.said == [*come("tell"), "whole", "whole", *come("add-brick 2")]


def test_bricks_whose_coming_failed_on_their_member_are_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in = Glusterd(monkeypatch, there(3), 5)
    failing = Failing(monkeypatch, stand_in, there(5), "10.77.0.15")
    volume.apply(NODE, cluster(5), directories(5))
    # The members that took the change up have it: it is not said again, and its description is made anew before.
    assert [words[1] for words in stand_in.changes] == ["set", "add-brick", "set", "set", "set"]
    assert fresh.note(bricks(5)[3:]).items() <= set_by(stand_in.changes[2])
    assert stand_in.changes[3] == ("volume", "set", "data", "auth.allow", "*")
    assert failing.told == [["10.77.0.14:/brick/brick-3", "10.77.0.15:/brick/brick-4"]]
    assert fresh.note([]).items() == set_by(stand_in.changes[4])
    assert failing.restarts == 0
    volume.apply(NODE, cluster(5), directories(5))
    assert len(failing.told) == 1


def test_a_change_that_failed_on_this_very_node_is_forgotten_and_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    before = there(3, b0="/brick/brick-lost")
    stand_in = Glusterd(monkeypatch, before)
    failing = Failing(monkeypatch, stand_in, before, "localhost")
    volume.apply(NODE, cluster(), directories(3))
    assert failing.restarts == 1
    assert [words[1] for words in stand_in.changes].count("replace-brick") == 2
    # The brick was never in the volume before the change that succeeded, which told of it itself.
    assert failing.told == []


def test_what_a_fresh_brick_of_a_dispersed_volume_lacks_is_listed_before_anybody_asks(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    node, wanted = Paths(tmp_path), cluster(layout="dispersed")
    stand_in = Glusterd(monkeypatch, there(3, "dispersed", b0="/brick/brick-lost"))
    lines, asked = list[str](), list[str]()
    answers = iter([None, b"Good: 011, Bad: 000", b"Good: 111, Bad: 000"])

    def getxattr(path: Path, attribute: str) -> bytes:
        assert stand_in.said("replace-brick") is not None
        assert (path, attribute) == (tmp_path / "run/storage-node-fresh", "trusted.ec.heal")
        asked.append("root")
        answer = next(answers)
        if answer is None:
            raise OSError(errno.ENOTCONN, os.strerror(errno.ENOTCONN))
        return answer

    def heals(_: str) -> list[gluster.Heal]:
        asked.append("heals")
        return stand_in.heals

    monkeypatch.setattr(system, "must", lambda line, _: lines.append(" ".join(line)))
    monkeypatch.setattr(system, "run", lambda line: lines.append(line[0]))
    monkeypatch.setattr("os.getxattr", getxattr)
    monkeypatch.setattr(gluster, "heals", heals)
    volume.apply(node, wanted, directories(3))
    # First whether another brick is away; then the root, until it was whole on all bricks before; then what is left.
    assert asked == ["heals", "root", "root", "root", "heals", "heals"]
    mounted = f"glusterfs --volfile-server=localhost --volfile-id=data {tmp_path}/run/storage-node-fresh"
    assert lines == ["umount", mounted, "umount"]
    # A volume that was just made has nothing that one of its bricks could lack.
    stand_in.present = None
    asked.clear()
    volume.apply(node, wanted, directories(3))
    assert asked == []


def test_the_volume_s_clients_are_known_by_their_bricks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    described = tmp_path / "var/lib/glusterd/vols/data/trusted-data.tcp-fuse.vol"
    described.parent.mkdir(parents=True)
    described.write_text(
        "volume data-client-0\n    type protocol/client\n    option remote-subvolume /brick/brick-0\n"
        "    option remote-host 10.77.0.11\n    option ping-timeout 20\nend-volume\n\n"
        "volume data-client-5\n    type protocol/client\n    option remote-subvolume /brick/brick-1\n"
        "    option remote-host 10.77.0.12\nend-volume\n\n"
        "volume data-replicate-0\n    type cluster/replicate\n    option use-compound-fops off\n"
        "    subvolumes data-client-0 data-client-5\nend-volume\n"
    )
    attempts: list[tuple[object, str, bytes]] = []

    def setxattr(path: Path, attribute: str, value: bytes) -> None:
        attempts.append((path, attribute, value))
        if len(attempts) == 1:
            raise OSError(errno.ENOTCONN, os.strerror(errno.ENOTCONN))

    lines: list[list[str]] = []
    monkeypatch.setattr(system, "must", lambda line, _: lines.append(line))
    monkeypatch.setattr(system, "run", lines.append)
    monkeypatch.setattr("os.setxattr", setxattr)
    monkeypatch.setattr("time.sleep", lambda _: None)
    fresh.tell(Paths(tmp_path), bricks(2)[1:])
    # Told once the volume took it.
    assert attempts == [(tmp_path / "run/storage-node-fresh", "trusted.replace-brick", b"data-client-5")] * 2
    # What an attempt that was killed left there goes first.
    assert [line[0] for line in lines] == ["umount", "glusterfs", "umount"]
    with pytest.raises(AwayError, match=r"does not have the brick 10\.77\.0\.13:/brick/brick-2 yet"):
        fresh.tell(Paths(tmp_path), bricks(3)[2:])
