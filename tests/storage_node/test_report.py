"""`storage-node backups`, `freshness` and `metrics`: the catalogue for people, programs and monitoring."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from storage_node import commands, status
from storage_node.catalogue import freshness, report
from storage_node.errors import NodeError
from tests.storage_node import nodes
from tests.storage_node.storage import Storage, name_of

pytestmark = pytest.mark.catalogue

HOUR = 3600


def _json(shop: Storage, capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    commands.run([*arguments, "--json"], shop.paths)
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def _names(found: dict[str, Any], environment: str = "shop") -> list[str]:
    return [row["name"] for row in found["environments"][environment]["backups"]]


@pytest.mark.parametrize(
    ("arguments", "days"),
    [
        ([], (1, 2, 3)),
        (["shop"], (1, 2, 3)),
        (["--since", "2026-01-02"], (2, 3)),
        (["--since", "2026-01-02T02:00:01Z"], (3,)),
        (["--until", "2026-01-02T12:00:00"], (1, 2)),
        (["--since", "2026-01-02", "--until", "2026-01-02T23:59:59Z"], (2,)),
        (["--tag", name_of(2)], (2,)),
        (["--tag", f"{name_of(3)} c0ffee3 auto"], (3,)),
        (["--kind", "auto"], (1, 2, 3)),
        (["--kind", "manual"], ()),
        (["--since", "1h"], ()),
    ],
)
def test_filters(
    shop: Storage, capsys: pytest.CaptureFixture[str], arguments: list[str], days: tuple[int, ...]
) -> None:
    assert _names(_json(shop, capsys, "backups", *arguments)) == [name_of(day) for day in days]


def test_details_have_what_restic_noted(shop: Storage, capsys: pytest.CaptureFixture[str]) -> None:
    identity = shop.backup("shop", "extra deadbeef manual", "second", time="2026-02-01 02:00:00")
    row = _json(shop, capsys, "backups", "shop", "--details")["environments"]["shop"]["backups"][-1]
    assert row["snapshot"] == identity
    assert (row["name"], row["commit"], row["kind"]) == ("extra", "deadbeef", "manual")
    assert row["tags"] == ["extra deadbeef manual", "second"]
    assert row["sizeBytes"] > 0
    assert row["paths"] == [str(shop.paths.root / "source")]


def test_the_table_shows_foreign_snapshots_too_and_cannot_command_a_terminal(
    shop: Storage, capsys: pytest.CaptureFixture[str]
) -> None:
    shop.backup("shop", "evil\x1b[2J c auto", time="2026-02-01 02:00:00")
    shop.backup("shop", "mine", time="2026-02-02 02:00:00")
    assert commands.run(["backups"], shop.paths) == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert len(out.splitlines()) == 6
    assert "2026-02-02" in out


def test_an_unknown_environment_is_an_error_beside_the_known(shop: Storage, capsys: pytest.CaptureFixture[str]) -> None:
    assert commands.run(["backups", "shop", "nope", "--json"], shop.paths) == 1
    found = json.loads(capsys.readouterr().out)["environments"]
    assert found["nope"] == {"error": "There is no environment nope."}
    assert len(found["shop"]["backups"]) == 3


@pytest.mark.parametrize("text", ["yesterday", "7", "2026-13-01", "-1d", ""])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(NodeError, match="is no time"):
        report.when(text)


def test_an_age_is_counted_back_from_now() -> None:
    assert report.when("2d", now=10 * 24 * HOUR) == (8 * 24 * HOUR, 0)


def test_freshness_names_who_is_late(shop: Storage, capsys: pytest.CaptureFixture[str]) -> None:
    shop.copy("shop", "blog")
    shop.make("empty")
    shop.backup("blog", "recent c auto", time=time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(time.time() - HOUR)))
    assert commands.run(["freshness", "--json"], shop.paths) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["stale"] == ["empty", "shop"]
    assert HOUR <= found["environments"]["blog"]["ageSeconds"] < HOUR + 60
    assert found["environments"]["shop"]["newest"].startswith("2026-01-03T")
    assert found["environments"]["empty"]["newest"] is None
    assert commands.run(["freshness", "--max-age-hours", "1e6"], shop.paths) == 1
    assert "never" in capsys.readouterr().out


def test_freshness_is_healthy_when_all_are_in_time(shop: Storage, capsys: pytest.CaptureFixture[str]) -> None:
    assert commands.run(["freshness", "--max-age-hours", "1e6"], shop.paths) == 0
    assert "fresh" in capsys.readouterr().out


def test_an_unreadable_repository_is_unhealthy_however_young(shop: Storage) -> None:
    (shop.paths.repository("shop") / "config").unlink()
    found = freshness.collect(shop.paths, 1e6)
    assert not found["healthy"]
    assert "config is missing" in found["environments"]["shop"]["error"]


def test_metrics_are_in_prometheus_text_format(shop: Storage, configured: nodes.Services) -> None:
    shop.copy("shop", "broken")
    (shop.paths.repository("broken") / "config").unlink()
    assert commands.run(["metrics"], shop.paths) == 0
    lines = shop.paths.metrics.read_text().splitlines()
    assert 'backup_storage_snapshots{environment="shop"} 3' in lines
    assert 'backup_storage_repository_readable{environment="shop"} 1' in lines
    assert 'backup_storage_repository_readable{environment="broken"} 0' in lines
    newest = next(line for line in lines if line.startswith("backup_storage_newest_snapshot_timestamp_seconds{"))
    assert abs(int(newest.split()[1]) - 1767405600) < 24 * HOUR
    for line in lines:
        assert line.startswith("# ") or float(line.rsplit(" ", 1)[1]) >= 0
    assert shop.paths.metrics.stat().st_mode & 0o777 == 0o644


def test_a_member_that_has_not_to_look_at_environments_writes_its_own_figures_only(
    shop: Storage, configured: nodes.Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(status, "speaks", lambda _: False)
    assert commands.run(["metrics"], shop.paths) == 0
    figures = [line for line in shop.paths.metrics.read_text().splitlines() if not line.startswith("#")]
    names = [line.partition(" ")[0].removeprefix("backup_storage_") for line in figures]
    assert names == ["size_bytes", "free_bytes", "healthy", "checked_timestamp_seconds"]
