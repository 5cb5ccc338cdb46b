"""The small parts: users, tags, times, names, mount units, configuration files, programs and their secrets."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage_node import atomic, mount, names, packages, services, spec, system, users
from storage_node.catalogue import snapshot, tags
from storage_node.errors import NodeError
from storage_node.paths import Paths


@given(st.lists(st.integers(1, 5), max_size=8))
def test_users_are_never_given_twice(tmp_path_factory: pytest.TempPathFactory, counts: list[int]) -> None:
    paths = Paths(root=tmp_path_factory.mktemp("node"))
    paths.data.mkdir()
    given_out = [uid for count in counts for uid in users.allocate(paths, count)]
    assert len(set(given_out)) == len(given_out)
    assert all(uid >= users.FIRST for uid in given_out)


def test_a_lost_counter_gives_no_user_of_a_directory_again(paths: Paths) -> None:
    (paths.data / "shop").mkdir()
    os.chown(paths.data / "shop", 200041, 200041)
    assert users.allocate(paths) == [200042]


def test_a_damaged_counter_is_an_error_and_not_a_beginning_anew(paths: Paths) -> None:
    atomic.write_private(paths.uid_counter, "??")
    with pytest.raises(NodeError, match="does not hold a number"):
        users.allocate(paths)


def test_giving_a_directory_away_follows_no_link(paths: Paths) -> None:
    outside = paths.root / "outside"
    outside.write_text("")
    (paths.data / "shop" / "data").mkdir(parents=True)
    (paths.data / "shop" / "data" / "link").symlink_to(outside)
    users.give(paths.data / "shop", 200000)
    assert outside.stat().st_uid == 0
    assert (paths.data / "shop" / "data" / "link").lstat().st_uid == 200000
    assert (paths.data / "shop").stat().st_mode & 0o7777 == 0o700


words = st.text(st.characters(exclude_categories=("Z", "C")), min_size=1)


@given(words, st.lists(words, max_size=3), st.sampled_from(tags.KINDS))
def test_a_tag_of_the_add_on_gives_back_its_words(name: str, commit: list[str], kind: str) -> None:
    found = tags.parse(" ".join([name, *commit, kind]))
    assert found == tags.Backup(name, " ".join(commit), kind)


@given(st.text())
def test_any_other_tag_is_nobody_s_backup(text: str) -> None:
    found = tags.parse(text)
    assert found is None or text.rsplit(maxsplit=1)[-1] in tags.KINDS


@given(st.lists(st.lists(st.text(max_size=30))))
def test_a_name_is_listed_once(snapshots: list[list[str]]) -> None:
    found = tags.names(snapshots)
    assert len(set(found)) == len(found)


@given(
    st.datetimes(datetime(1971, 1, 1), datetime(2200, 1, 1)),
    st.integers(0, 999_999_999),
    st.integers(-14 * 60, 14 * 60),
)
def test_times_compare_across_zones(moment: datetime, nanoseconds: int, offset: int) -> None:
    zone = timezone(timedelta(minutes=offset))
    there = moment.replace(microsecond=0, tzinfo=UTC).astimezone(zone)
    sign = "-" if offset < 0 else "+"
    text = f"{there:%Y-%m-%dT%H:%M:%S}.{nanoseconds:09d}{sign}{abs(offset) // 60:02d}:{abs(offset) % 60:02d}"
    assert snapshot.moment(text.replace(there.strftime("%Y"), f"{there.year:04d}", 1)) == (
        int(moment.replace(microsecond=0, tzinfo=UTC).timestamp()),
        nanoseconds,
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1970-01-01T00:00:01Z", (1, 0)),
        ("1970-01-01T00:00:00.5Z", (0, 500_000_000)),
        ("1970-01-01T01:00:00.000000001+01:00", (0, 1)),
    ],
)
def test_times_as_go_writes_them(text: str, expected: tuple[int, int]) -> None:
    assert snapshot.moment(text) == expected


@pytest.mark.parametrize("name", ["a", "shop-1", "0.example.org", "a" * 63])
def test_names(name: str) -> None:
    assert names.is_environment_name(name)


@given(st.text(max_size=70))
def test_a_name_is_never_a_path_or_hidden(name: str) -> None:
    if names.is_environment_name(name):
        assert "/" not in name
        assert not name.startswith((".", "-"))
        assert name.isascii()


@pytest.mark.parametrize(
    ("path", "unit"),
    [
        ("/data", "data.mount"),
        ("/bricks/one", "bricks-one.mount"),
        ("/srv/back-up", r"srv-back\x2dup.mount"),
        ("/.x", r"\x2ex.mount"),
    ],
)
def test_mount_units_have_the_names_that_systemd_expects(path: str, unit: str) -> None:
    assert mount.unit_name(path) == unit


def test_the_mount_comes_back_at_boot_before_the_nfs_server(paths: Paths) -> None:
    assert not mount.write_units(paths, "/data", "0b6ae2ff-0000-4000-8000-000000000001", mount.OPTIONS)
    unit = (paths.units / "data.mount").read_text()
    assert "What=/dev/disk/by-uuid/0b6ae2ff-0000-4000-8000-000000000001" in unit
    assert "Options=noatime,nodev,nosuid,noexec,uqnoenforce,nofail" in unit
    assert (paths.units / "multi-user.target.wants" / "data.mount").readlink() == Path("/etc/systemd/system/data.mount")
    drop_in = paths.units / "nfs-server.service.d" / "backup-storage.conf"
    assert "RequiresMountsFor=/data" in drop_in.read_text()
    # Only a unit that systemd may have read already needs it to read again.
    assert not mount.write_units(paths, "/data", "0b6ae2ff-0000-4000-8000-000000000001", mount.OPTIONS)
    assert mount.write_units(paths, "/data", "0b6ae2ff-0000-4000-8000-000000000002", mount.OPTIONS)


def test_a_bricks_names_are_written_before_they_are_acknowledged(paths: Paths) -> None:
    mount.write_units(paths, "/brick", "0b6ae2ff-0000-4000-8000-000000000001", mount.BRICK_OPTIONS, nfs=False)
    assert "Options=noatime,nodev,nosuid,noexec,uqnoenforce,wsync,nofail" in (paths.units / "brick.mount").read_text()


def test_mountinfo_is_read_with_its_escapes(tmp_path: Path) -> None:
    table = tmp_path / "mountinfo"
    table.write_text(
        "36 35 98:0 / /mnt\\040two rw,noatime - ext3 /dev/root rw\n"
        "37 35 254:16 / /data rw,noatime shared:1 - xfs /dev/vdb rw\n"
    )
    assert mount.mounted_at(Path("/data"), table) == mount.Mounted("254:16", "xfs")
    assert mount.mounted_at(Path("/mnt two"), table) == mount.Mounted("98:0", "ext3")
    assert mount.mounted_at(Path("/"), table) is None


def test_services_are_configured_by_files(paths: Paths) -> None:
    for unit in ("chrony.service", "systemd-timesyncd.service", "apt-daily-upgrade.timer"):
        (paths.vendor_units / unit).parent.mkdir(parents=True, exist_ok=True)
        (paths.vendor_units / unit).touch()
    paths.at("/etc/apt").mkdir(parents=True)
    assert services.configure(paths, "standalone")
    assert not services.configure(paths, "standalone")
    nfs = paths.nfs_conf.read_text().splitlines()
    assert {"vers3=n", "vers4.0=n", "grace-time=20", "lease-time=10"} <= set(nfs)
    assert (paths.units / "rpcbind.socket").readlink() == Path("/dev/null")
    assert services.running(paths, "standalone") == [
        *("nfs-server.service", "chrony.service", "storage-node-metrics.timer", "apt-daily-upgrade.timer")
    ]
    assert not (paths.units / "sysinit.target.wants" / "systemd-timesyncd.service").is_symlink()
    assert 'Unattended-Upgrade "1"' in paths.at("/etc/apt/apt.conf.d/52backup-storage").read_text()
    assert "PasswordAuthentication no" in paths.at("/etc/ssh/sshd_config.d/10-backup-storage.conf").read_text()


@pytest.mark.parametrize(("stale", "read_again"), [("no\n\nno\n", False), ("no\n\nyes\n", True)])
def test_units_are_read_again_only_where_systemd_knows_them_otherwise(
    paths: Paths, monkeypatch: pytest.MonkeyPatch, stale: str, read_again: bool
) -> None:
    ran: list[str] = []

    def run(arguments: Sequence[str], **_: object) -> system.Result:
        ran.append(arguments[1])
        return system.Result(0, stale if arguments[1] == "show" else "", "")

    monkeypatch.setattr(system, "run", run)
    services.reload_units(paths, ["one.service", "two.service"])
    assert ran == []  # no systemd, nothing to ask
    paths.at("/run/systemd/system").mkdir(parents=True)
    services.reload_units(paths, ["one.service", "two.service"])
    assert ran == ["show", *(["daemon-reload"] if read_again else [])]


@pytest.mark.parametrize("failures", [0, 1, 2, 3])
def test_a_unit_that_does_not_start_is_tried_again_and_then_named(
    paths: Paths, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], failures: int
) -> None:
    paths.at("/run/systemd/system").mkdir(parents=True)
    starts = list[list[str]]()
    monkeypatch.setattr(services, "START_AGAIN_SECONDS", 0.001)

    def run(line: Sequence[str], **_: object) -> system.Result:
        if line[1] == "start":
            starts.append(list(line[2:]))
            return system.Result(1 if len(starts) <= failures else 0, "", "A dependency job failed.")
        if line[1] == "is-active":
            return system.Result(3 if line[-1] == "brick.mount" else 0, "", "")
        assert line[-1] == "--unit=brick.mount"
        return system.Result(0, "Mounting brick.mount...\nbrick.mount: Failed with result 'protocol'.\n", "")

    monkeypatch.setattr(system, "run", run)
    words = (
        "brick.mount did not start (Mounting brick.mount; brick.mount: Failed with result 'protocol'); "
        "see `journalctl -b -u brick.mount` on this node"
    )
    services.start_units(paths, ["brick.mount", "chrony.service"])
    assert starts == [["brick.mount", "chrony.service"]] * (failures + 1)
    assert capsys.readouterr().err == (f"{words}.\n" if failures else "")
    # One that never starts: its last words are in the error.
    starts.clear()
    failures = 1_000_000
    monkeypatch.setattr(services, "START_SECONDS", 0.0)
    with pytest.raises(NodeError, match=f"^{re.escape(words)}; it was waited for for 0 s\\.$"):
        services.start_units(paths, ["brick.mount", "chrony.service"])
    assert set(map(tuple, starts)) == {("brick.mount", "chrony.service")}


def test_a_secret_is_read_from_memory_by_another_user() -> None:
    done = system.run(["sh", "-c", 'cat "$1"; id -u', "sh", "{word}"], secrets={"word": "s3cret"}, user=200000)
    assert done.stdout == "s3cret200000\n"
    assert not done.status


def test_a_missing_or_endless_program_is_a_sentence() -> None:
    with pytest.raises(NodeError, match="The program no-such-program is not installed"):
        system.run(["no-such-program"])
    with pytest.raises(NodeError, match="did not end within"):
        system.run(["sleep", "60"], timeout=0.05)


def test_an_old_restic_is_refused(paths: Paths, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    binary = tmp_path / "restic"
    binary.write_text("#!/bin/sh\necho restic 0.14.0 compiled with go1.19\n")
    binary.chmod(0o755)
    monkeypatch.setattr(system, "PATH", f"{tmp_path}:{system.PATH}")
    with pytest.raises(NodeError, match=r"restic 0\.14\.0 is too old"):
        packages.require_restic(paths)
    binary.write_text("#!/bin/sh\necho restic 0.18.0 compiled with go1.24\n")
    packages.require_restic(paths)
    binary.chmod(0o700)
    record = json.loads((paths.cache / "restic-version.json").read_text())
    assert record["version"] == "0.18.0"


def test_a_file_is_never_wider_than_its_mode(tmp_path: Path) -> None:
    file = tmp_path / "a" / "secret"
    assert atomic.write_private(file, "one")
    assert not atomic.write_private(file, "one")
    file.chmod(0o644)
    assert atomic.write_private(file, "one")
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700
    assert [p.name for p in file.parent.iterdir()] == ["secret"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"filesystem": "nonsense"}, "filesystem in the specification has to be a UUID"),
        ({"topology": "ring"}, "has to be standalone or cluster"),
        ({"sizeGb": "10"}, "has to be a whole number"),
        ({"device": "vdb"}, "has to be an absolute path"),
        ({"dataPath": "/da ta"}, "has to be an absolute path"),
        ({"dataPath": "/data/../etc"}, "has to be an absolute path"),
        ({"firewall": {"ssh": ["10.0.0.300"]}}, "firewall.ssh: '10.0.0.300' is neither an address nor a CIDR block"),
        ({"firewall": None}, "firewall in the specification is missing"),
        ({"name": "a\nb"}, "name in the specification has to be a line of text"),
    ],
)
def test_a_wrong_specification_names_its_field(change: dict[str, object], words: str) -> None:
    value = {
        "program": "0",
        "name": "n",
        "stack": "s",
        "topology": "standalone",
        "device": "/dev/vdb",
        "filesystem": "0b6ae2ff-0000-4000-8000-000000000001",
        "dataPath": "/data",
        "sizeGb": 10,
        "firewall": {"ssh": []},
    }
    assert spec.configure(value)
    with pytest.raises(NodeError) as failure:
        spec.configure({**value, **change})
    assert words in str(failure.value)
