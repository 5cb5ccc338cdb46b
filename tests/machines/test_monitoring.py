"""What a real node tells monitoring: figures on a timer, and exit statuses that mean something."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from demo.shell import Shell
from tests.project import Project

pytestmark = [pytest.mark.long, pytest.mark.machine, pytest.mark.catalogue]

METRICS = "/var/lib/prometheus/node-exporter/backup-storage.prom"

#: The timer runs two minutes after the boot and every five from then on; a busy machine is late.
DEADLINE_SECONDS = 600


@pytest.fixture
def node(standalone: Project) -> Iterator[Shell]:
    """A shell on a node whose environments have no backups; those that the test makes are gone after it."""
    with standalone.operator() as operator:
        for name in ("shop", "blog"):
            forget(operator, name)
        yield operator
        for name in ("shop", "blog"):
            forget(operator, name)


def restic(operator: Shell, name: str, arguments: str) -> str:
    """Runs restic on an environment's repository as its user, as its client would."""
    line = f"restic --no-cache --repo /data/{name} {arguments} </etc/storage-node/passwords/{name}"
    return operator.run(
        f"uid=$(stat -c %u /data/{name}); cd / && setpriv --reuid $uid --regid $uid --clear-groups {line}"
    )


def forget(operator: Shell, name: str) -> None:
    ids = [entry["id"] for entry in json.loads(restic(operator, name, "snapshots --json"))]
    if ids:
        restic(operator, name, f"forget --prune {' '.join(ids)}")


def back_up(operator: Shell, name: str, *, at: str = "") -> None:
    when = f"--time '{at}'" if at else ""
    restic(operator, name, f"backup -q /etc/hosts --tag '2026-01-31_020000_UTC c manual' {when}")


def freshness(operator: Shell, arguments: str = "") -> tuple[int, Any]:
    done = operator.attempt(f"storage-node freshness --json {arguments}")
    return done.status, json.loads(done.output)


def test_the_exit_status_says_whether_every_backup_is_fresh(node: Shell) -> None:
    status, found = freshness(node)
    assert (status, found["stale"]) == (1, ["blog", "shop"]), "without any backup"
    back_up(node, "shop")
    back_up(node, "blog", at="2020-01-31 02:00:00")
    status, found = freshness(node)
    assert (status, found["stale"]) == (1, ["blog"]), "with one that is years old"
    assert found["environments"]["shop"]["backups"] == 1
    assert found["environments"]["shop"]["usageBytes"] > 0
    back_up(node, "blog")
    status, found = freshness(node)
    assert (status, found["stale"], found["healthy"]) == (0, [], True)
    assert freshness(node, "--max-age-hours 0")[0] == 1


def test_the_timer_writes_figures_for_prometheus(node: Shell) -> None:
    """The file is taken away, so that it is the timer that brings it back; no shorter interval than the real one."""
    back_up(node, "shop")
    assert node.run("systemctl is-active storage-node-metrics.timer").strip() == "active"
    node.run(f"rm -f {METRICS}")
    deadline = time.monotonic() + DEADLINE_SECONDS
    while node.attempt(f"test -s {METRICS}").status != 0:
        assert time.monotonic() < deadline, node.run("systemctl status storage-node-metrics.timer --no-pager")
        time.sleep(2)
    lines = node.run(f"cat {METRICS}").splitlines()
    figures = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    assert figures['backup_storage_snapshots{environment="shop"}'] == "1"
    assert figures['backup_storage_snapshots{environment="blog"}'] == "0"
    assert figures["backup_storage_healthy"] == "1"
    assert int(figures['backup_storage_usage_bytes{environment="shop"}']) > 0
    assert float(node.run("date +%s")) - float(figures["backup_storage_checked_timestamp_seconds"]) < DEADLINE_SECONDS
    newest = 'backup_storage_newest_snapshot_timestamp_seconds{environment="%s"}'
    assert newest % "shop" in figures
    assert newest % "blog" not in figures
    assert node.run(f"stat -c %a {METRICS}").strip() == "644"
