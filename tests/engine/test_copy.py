"""remote.CopyToRemote: what goes where, and when it goes again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.engine.conftest import MakeStack
from tests.engine.ssh_server import Server
from tests.engine.stack import Result, Stack

pytestmark = pytest.mark.engine

PROGRAM = """
    kinds = {"file": pulumi.FileAsset, "text": pulumi.StringAsset, "tree": pulumi.FileArchive}
    for name, given in settings["copies"].items():
        kind, source = given["source"]
        remote.CopyToRemote(
            name, connection=pulumi.Output.secret(settings["connection"]), source=kinds[kind](source),
            remote_path=given["path"], opts=ResourceOptions(ignore_changes=given.get("ignore")))
"""


class Copies:
    """A stack of copies, and the directory that plays the other machine's disk."""

    def __init__(self, stack: Stack, ssh: Server, directory: Path) -> None:
        self.stack, self._ssh = stack, ssh
        self.near, self.far = directory / "near", directory / "far"
        (self.near / "tree" / "deep").mkdir(parents=True)
        (self.near / "tree" / "deep" / "leaf").write_text("leaf")
        (self.near / "one").write_bytes(b"\0" * 300_000 + b"end")
        (self.far / "existing").mkdir(parents=True)
        (self.far / "occupied").write_text("a file")
        stack.program(PROGRAM)

    def apply(self, copies: dict[str, tuple[tuple[str, str], str]], check: bool = True, **connection: Any) -> Result:
        given: dict[str, Any] = {
            name: {"source": source, "path": str(self.far / path)} for name, (source, path) in copies.items()
        }
        self.stack.settings(connection=self._ssh.connection(**connection), copies=given)
        return self.stack.up(check=check)


@pytest.fixture(scope="module")
def copies(make_stack: MakeStack, ssh: Server, tmp_path_factory: pytest.TempPathFactory) -> Copies:
    made = Copies(make_stack(), ssh, tmp_path_factory.mktemp("copies"))
    near = made.near
    made.apply(
        {
            "file": (("file", str(near / "one")), "new/deep/file"),
            "into": (("file", str(near / "one")), "existing"),
            "text": (("text", "some text\n"), "text/file"),
            "tree": (("tree", str(near / "tree")), "trees"),
            "contents": (("tree", f"{near / 'tree'}/"), "contents"),
        }
    )
    return made


def test_a_file_is_copied_and_its_directories_made(copies: Copies) -> None:
    assert (copies.far / "new" / "deep" / "file").read_bytes() == (copies.near / "one").read_bytes()


def test_a_file_goes_into_an_existing_directory(copies: Copies) -> None:
    assert (copies.far / "existing" / "one").read_bytes().endswith(b"end")


def test_a_text_becomes_a_file(copies: Copies) -> None:
    assert (copies.far / "text" / "file").read_text() == "some text\n"


def test_a_directory_goes_below_the_path(copies: Copies) -> None:
    assert (copies.far / "trees" / "tree" / "deep" / "leaf").read_text() == "leaf"


def test_with_a_slash_its_contents_go_there(copies: Copies) -> None:
    assert (copies.far / "contents" / "deep" / "leaf").read_text() == "leaf"


def test_another_connection_updates_but_only_another_content_is_copied_again(copies: Copies) -> None:
    text, file = copies.far / "text" / "file", copies.far / "new" / "deep" / "file"
    text.unlink()
    file.unlink()
    changes = {
        "file": (("file", str(copies.near / "one")), "new/deep/file"),
        "text": (("text", "another text\n"), "text/file"),
    }
    copies.apply(changes, dialErrorLimit=7)
    assert text.read_text() == "another text\n"
    assert not file.exists()


def test_refused_copies_say_why(copies: Copies) -> None:
    failed = copies.apply(
        {
            "tree": (("tree", str(copies.near / "tree")), "occupied"),
            "text": (("text", "text"), "existing"),
        },
        check=False,
    )
    assert failed.status != 0
    assert f"remote path {copies.far}/existing is a directory" in failed.text
    assert (copies.far / "occupied").read_text() == "a file"
