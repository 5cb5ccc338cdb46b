"""The state of a storage is lost, its passphrase with it; the backups are not."""

import re
import shutil

import pytest

from demo.shell import Shell
from tests.machines.test_environments import opens
from tests.project import Project

pytestmark = [pytest.mark.machine, pytest.mark.standalone, pytest.mark.long]


def as_client(operator: Shell, password: str, arguments: str) -> str:
    """Runs restic on shop's repository as the user that its clients are."""
    user = "--reuid $(stat -c %u /data/shop) --regid $(stat -c %g /data/shop) --clear-groups"
    line = f"setpriv {user} restic --no-cache --repo /data/shop {arguments}"
    return operator.run(line, stdin=password + "\n")


def password(project: Project) -> str:
    return str(project.outputs()["addon"]["environments"]["shop"]["password"])


def lose_the_state(project: Project) -> None:
    """State, its backups and its passphrase are gone, and with them what the settings file says of the passphrase."""
    shutil.rmtree(project.root / ".state/pulumi")
    (project.root / ".state/passphrase").unlink()
    settings = project.root / "Pulumi.test.yaml"
    settings.write_text(re.sub("(?m)^encryptionsalt:.*$", "", settings.read_text(encoding="utf-8")), encoding="utf-8")


def test_a_storage_whose_state_was_lost_is_taken_over_with_all_its_backups(fresh_project: Project) -> None:
    project = fresh_project
    project.make("up")
    old = password(project)
    with project.operator() as operator:
        operator.run("mkdir /tmp/site && head -c 5M /dev/urandom >/tmp/site/picture && chmod -R a+rX /tmp/site")
        known = operator.run("sha256sum /tmp/site/picture")
        as_client(operator, old, "backup -q /tmp/site --tag '2026-01-31_020000_UTC abc auto'")
    assert "has a state, which knows of" in project.make("recover", CONFIRM="test", check=False).stdout

    lose_the_state(project)
    said = project.make("destroy").stdout
    assert "machine storage-1, whose disk that is, is off and kept" in said
    root = project.root / ".state/local/test/machines/storage-1/root.qcow2"
    aside = root.rename(root.with_name("aside"))
    refused = project.make("recover", CONFIRM="test", check=False)
    assert refused.returncode != 0
    assert "The system disk of machine storage-1 is missing" in refused.stdout
    aside.rename(root)

    asked = project.make("recover").stdout
    assert "machine storage-1 with its system disk; data disk storage-1-data, 10 GB" in asked
    done = project.make("recover", CONFIRM="test").stdout
    assert "shop: taken over, with a new password" in done
    assert "blog: taken over, with a new password" in done

    new = password(project)
    assert new != old
    assert project.status()["healthy"] is True
    with project.operator() as operator:
        assert opens(operator, new)
        assert not opens(operator, old)
        as_client(operator, new, "check -q --read-data")
        as_client(operator, new, "restore -q latest --target /tmp/restored")
        assert operator.run("sha256sum /tmp/restored/tmp/site/picture").split()[0] == known.split()[0]
        assert "2026-01-31_020000_UTC" in operator.run("/root/getBackups.sh shop")
    assert "unchanged" in project.make("up").stdout
