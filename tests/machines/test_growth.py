"""The data disk grows online and never shrinks; a disk that holds something else is never touched."""

import pytest

from tests.project import Project, boot_id

pytestmark = [pytest.mark.long, pytest.mark.machine, pytest.mark.standalone]


def test_a_smaller_disk_is_refused_at_preview(standalone: Project) -> None:
    standalone.configure(sizeGb=5)
    refused = standalone.make("preview", check=False)
    standalone.configure()
    assert refused.returncode != 0
    assert "10" in refused.stdout
    assert "5" in refused.stdout


def test_a_bigger_disk_is_there_without_a_reboot(standalone: Project) -> None:
    with standalone.operator() as operator:
        booted = boot_id(operator)
        before = int(operator.run("df --output=size -B1 /data | tail -n 1"))
    standalone.configure(sizeGb=14)
    shown = standalone.make("preview").stdout
    assert "10 => 14" in shown
    standalone.make("up")
    with standalone.operator() as operator:
        after = int(operator.run("df --output=size -B1 /data | tail -n 1"))
        assert boot_id(operator) == booted
    assert after - before > 3.5e9
    health = standalone.status()
    assert health["nodes"]["storage-1"]["data"]["totalBytes"] > 13.5e9
    # What has grown stays so for the tests that come after.
    standalone.usual["sizeGb"] = 14
    standalone.configure(sizeGb=10)
    refused = standalone.make("preview", check=False)
    standalone.configure()
    assert refused.returncode != 0
    assert "14" in refused.stdout
