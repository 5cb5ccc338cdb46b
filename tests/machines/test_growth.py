"""The data disk grows online and never shrinks; a disk that holds something else is never touched."""

import json

import pytest

from tests.machines.conftest import ENVIRONMENTS
from tests.project import Project, boot_id

pytestmark = [pytest.mark.machine, pytest.mark.standalone]


def test_a_smaller_disk_is_refused_at_preview(standalone: Project) -> None:
    standalone.configure(environments=ENVIRONMENTS, protect=False, sizeGb=5)
    refused = standalone.make("preview", check=False)
    standalone.configure(environments=ENVIRONMENTS, protect=False)
    assert refused.returncode != 0
    assert "10" in refused.stdout
    assert "5" in refused.stdout


def test_a_bigger_disk_is_there_without_a_reboot(standalone: Project) -> None:
    with standalone.operator() as operator:
        booted = boot_id(operator)
        before = int(operator.run("df --output=size -B1 /data | tail -n 1"))
    standalone.configure(environments=ENVIRONMENTS, protect=False, sizeGb=14)
    shown = standalone.make("preview").stdout
    assert "10 => 14" in shown
    standalone.make("up")
    with standalone.operator() as operator:
        after = int(operator.run("df --output=size -B1 /data | tail -n 1"))
        assert boot_id(operator) == booted
    assert after - before > 3.5e9
    health = json.loads(standalone.make("status", JSON="1").stdout)
    assert health["nodes"]["storage-1"]["data"]["totalBytes"] > 13.5e9
    standalone.configure(environments=ENVIRONMENTS, protect=False, sizeGb=10)
    refused = standalone.make("preview", check=False)
    assert refused.returncode != 0
    standalone.configure(environments=ENVIRONMENTS, protect=False, sizeGb=14)
