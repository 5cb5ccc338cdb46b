"""The engine, the machine and the disk fail at bad moments; the next command mends it and nothing is lost."""

import json
import os
import signal
import time

import pytest

from components.qemu.layout import StackDirectory
from components.qemu.machine import Machine
from tests.machines.conftest import ENVIRONMENTS
from tests.project import Project

pytestmark = [pytest.mark.long, pytest.mark.machine, pytest.mark.standalone]

#: What `up` says when it begins with a part, in an order that is the same in every run, and how many seconds later
#: the engine is killed.
UP = (
    ("qemu:Network network creating", 0),
    ("qemu:Machine storage-1 creating", 2),
    ("CopyToRemote storage-1-program creating", 1),
    ("Command storage-1-configure creating", 2),
    ("Command environments-storage-1 creating", 3),
)

#: The same for `destroy`, which is so quick that it may be further on by the time that the kill arrives.
DESTROY = (
    "Destroying (test)",
    "Command environments-storage-1 deleting",
    "qemu:Machine storage-1 deleting",
    "qemu:Disk storage-1-data deleting",
    "qemu:Network network deleting",
    "PrivateKey login deleting",
)


def make_and_kill(project: Project, target: str, moment: str, after: float = 0) -> bool:
    """Runs a target and kills all that it started, without a warning, ``after`` seconds from when it says ``moment``.

    Gives whether it came to that; a run that ends by itself has to end well.
    """
    running = project.start(target)
    assert running.stdout is not None
    said = ""
    with running.stdout:
        for line in running.stdout:
            said += line
            if moment in line:
                break
        else:
            assert running.wait() == 0, f"`make {target}` failed on its own:\n{said}"
            return False
        # Any moment will do: what is looked for is that none of them does harm.
        time.sleep(after)
        os.killpg(running.pid, signal.SIGKILL)
    running.wait()
    return True


@pytest.mark.long
def test_an_engine_that_is_killed_anywhere_is_mended_by_the_next_run(fresh_project: Project) -> None:
    project = fresh_project
    for moment, after in UP:
        assert make_and_kill(project, "up", moment, after), f"`up` ended before {moment!r}"
    project.make("up")
    assert "unchanged" in project.make("up").stdout
    assert project.status()["healthy"] is True
    secret = project.outputs()["addon"]["environments"]["shop"]["password"]
    with project.operator() as operator:
        operator.run("restic --no-cache --repo /data/shop check", stdin=secret + "\n")
        assert operator.run("ls /data").split() == ["blog", "shop"]
    names = [process.name() for process in project.processes()]
    assert len([name for name in names if name.startswith("qemu-system")]) == 1
    assert sum(make_and_kill(project, "destroy", moment) for moment in DESTROY) >= 3
    project.make("destroy")
    assert project.processes() == []
    left = [path for path in (project.root / ".state/local/test").rglob("*") if path.is_file()]
    assert left == []


def test_a_machine_that_lost_its_power_comes_back_with_its_data(standalone: Project) -> None:
    with standalone.operator() as operator:
        operator.run("echo kept >/data/shop/marker && sync /data/shop/marker")
    Machine(StackDirectory(standalone.root / ".state/local/test"), "storage-1").kill()
    assert standalone.make("status", check=False).returncode != 0
    assert "not reachable" in standalone.status()["nodes"]["storage-1"]["problems"][0]
    assert "qemu:Machine" in standalone.make("preview").stdout
    standalone.make("up")
    with standalone.operator() as operator:
        assert operator.run("cat /data/shop/marker").strip() == "kept"
        operator.run("rm /data/shop/marker")
    assert standalone.status()["healthy"] is True


def test_a_machine_that_is_off_shows_in_a_refresh_and_the_next_up_starts_it(standalone: Project) -> None:
    Machine(StackDirectory(standalone.root / ".state/local/test"), "storage-1").kill()
    assert "qemu:Machine" in standalone.make("refresh").stdout
    standalone.make("up")
    assert standalone.status()["healthy"] is True


def test_what_was_changed_by_hand_on_a_node_is_seen_and_repaired(standalone: Project) -> None:
    with standalone.operator() as operator:
        operator.run("rm /etc/exports.d/backup-storage.exports && exportfs -ra && systemctl stop systemd-timesyncd")
        operator.run("nft flush ruleset")
        known = standalone.status()
        assert known["healthy"] is False
        said = " ".join(known["nodes"]["storage-1"]["problems"])
        assert "export" in said
        assert "firewall" in said
        assert "systemd-timesyncd" in said
        standalone.make("repair")
        assert standalone.status()["healthy"] is True
        assert "/data/shop" in operator.run("exportfs -s")
        assert "policy drop" in operator.run("nft list ruleset")
    assert "unchanged" in standalone.make("up").stdout


def test_a_restic_that_updated_itself_is_seen_and_the_releases_is_put_back(standalone: Project) -> None:
    with standalone.operator() as operator:
        digest = operator.run("sha256sum /usr/bin/restic")
        operator.put("/root/restic", "#!/bin/sh\necho 'restic 9.9.9 compiled with go'\n")
        operator.run("install -m 755 /root/restic /usr/bin/restic")
        (problem,) = standalone.status()["nodes"]["storage-1"]["problems"]
        assert problem.startswith("The program restic is 9.9.9, its package 0.18.")
        standalone.make("repair")
        assert standalone.status()["healthy"] is True
        assert operator.run("sha256sum /usr/bin/restic") == digest


def test_a_full_disk_is_named_and_hurts_nobody_else(standalone: Project) -> None:
    with standalone.operator() as operator:
        operator.run("fallocate -l $(df --output=avail -B1 /data | tail -n 1) /data/filler || true; df -B1 /data")
        operator.attempt("dd if=/dev/zero of=/data/filler2 bs=4k")
        standalone.configure(environments={**ENVIRONMENTS, "docs": {"clients": []}})
        refused = standalone.make("up", check=False)
        assert refused.returncode != 0
        assert "full" in refused.stdout
        assert "docs" in refused.stdout
        assert json.loads(operator.run("/root/getBackups.sh shop"))["result"] == 0
        operator.run("rm -f /data/filler /data/filler2")
    standalone.make("up")
    with standalone.operator() as operator:
        assert json.loads(operator.run("/root/getBackups.sh"))["envs"] == ["blog", "docs", "shop"]
    standalone.configure()
    standalone.make("up")


@pytest.mark.long
def test_a_disk_that_holds_something_else_is_refused_and_left_alone(fresh_project: Project) -> None:
    project = fresh_project
    project.make("up")
    with project.operator() as operator:
        device = operator.run("findmnt -n -o SOURCE /data").strip()
        operator.run("systemctl stop nfs-server && umount /data")
        operator.run(f"mkfs.ext4 -q -F -L precious {device}")
        before = operator.run(f"head -c 50M {device} | sha256sum")
        project.configure(adminCidrs=["10.0.2.0/24"])
        refused = project.make("up", check=False)
        assert refused.returncode != 0
        assert "ext4" in refused.stdout
        assert "virtio-storage-1-data" in refused.stdout
        assert operator.run(f"head -c 50M {device} | sha256sum") == before
        assert operator.attempt("findmnt /data").status != 0
