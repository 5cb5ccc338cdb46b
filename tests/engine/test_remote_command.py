"""remote.Command: what runs when, what is kept, and what is secret."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.engine.conftest import MakeStack
from tests.engine.ssh_server import PASSWORD, Server
from tests.engine.stack import Stack

pytestmark = pytest.mark.engine

LARGE = 200_000

PROGRAM = """
    connection = remote.ConnectionArgs(
        host=settings["connection"]["host"], port=settings["connection"]["port"], user=settings["connection"]["user"],
        private_key=settings["connection"]["privateKey"], host_key=settings["connection"]["hostKey"],
        dial_error_limit=settings["connection"]["dialErrorLimit"])
    results = {}
    for name, given in settings["commands"].items():
        if given.pop("secret_stdin", False):
            given["stdin"] = pulumi.Output.secret(given["stdin"])
        options = ResourceOptions(additional_secret_outputs=given.pop("secret_outputs", None))
        given = {"logging": remote.Logging.NONE} | given
        made = remote.Command(name, connection=given.pop("connection", connection), opts=options, **given)
        results[name] = {"stdout": made.stdout, "stderr": made.stderr, "id": made.id}
    pulumi.export("results", results)
"""

FIRST: dict[str, dict[str, Any]] = {
    "plain": {"create": "echo out; echo err >&2", "delete": 'echo "gone: $PULUMI_COMMAND_STDOUT" >&2'},
    "newlines": {"create": "printf 'a\\n\\n'"},
    "large": {"create": "wc -c", "stdin": "x" * LARGE},
    "secretive": {"create": "cat", "stdin": "hush-1", "secret_stdin": True, "secret_outputs": ["stdout", "stderr"]},
    "talkative": {"create": "cat", "stdin": "hush-2", "secret_stdin": True},
    "empty": {"create": "wc -c", "stdin": ""},
    "variable": {"create": "echo $GREETING", "environment": {"GREETING": "hello"}},
    "idle": {},
    "updated": {"create": "echo created", "update": "echo updated", "add_previous_output_in_env": False},
    "remembering": {"create": 'echo "before=$PULUMI_COMMAND_STDOUT"'},
    "replaced": {"create": "echo made", "delete": "echo unmade", "triggers": ["one", {"two": 2}]},
    "stdin": {"create": "cat", "stdin": "first"},
}


@dataclass
class Life:
    """One stack's life, each step of it done once and looked at by many tests."""

    stack: Stack
    ssh: Server
    first: dict[str, Any] = field(default_factory=dict)
    state: dict[str, Any] = field(default_factory=dict)

    def apply(self, commands: dict[str, dict[str, Any]], **connection: Any) -> None:
        self.stack.settings(connection=self.ssh.connection(**connection), commands=commands)


@pytest.fixture(scope="module")
def life(make_stack: MakeStack, ssh: Server) -> Life:
    life = Life(make_stack(), ssh)
    life.stack.program(PROGRAM)
    life.apply(FIRST)
    life.stack.up()
    life.first = life.stack.outputs()["results"]
    life.state = life.stack.resources()
    return life


def test_stdout_and_stderr_are_kept_apart(life: Life) -> None:
    assert (life.first["plain"]["stdout"], life.first["plain"]["stderr"]) == ("out", "err")


def test_one_newline_at_the_end_is_cut(life: Life) -> None:
    assert life.first["newlines"]["stdout"] == "a\n"


def test_a_large_stdin_arrives_whole(life: Life) -> None:
    assert life.first["large"]["stdout"].strip() == str(LARGE)


def test_an_empty_stdin_is_no_stdin(life: Life) -> None:
    assert life.first["empty"]["stdout"].strip() == "0"


def test_an_accepted_variable_reaches_the_command(life: Life) -> None:
    assert life.first["variable"]["stdout"] == "hello"


def test_without_create_nothing_runs(life: Life) -> None:
    assert (life.first["idle"]["stdout"], life.first["idle"]["stderr"]) == ("", "")


def test_the_id_is_the_name_and_random_digits(life: Life) -> None:
    assert life.first["plain"]["id"].startswith("plain")
    assert len(life.first["plain"]["id"]) == len("plain") + 8


def test_the_connection_is_secret_in_the_state(life: Life) -> None:
    for part in ("inputs", "outputs"):
        assert "ciphertext" in life.state["plain"][part]["connection"]


def test_a_secret_stdin_stays_secret_and_does_not_make_the_outputs_secret(life: Life) -> None:
    kept = life.state["talkative"]["outputs"]
    assert "ciphertext" in kept["stdin"]
    assert kept["stdout"] == "hush-2"


def test_outputs_are_secret_where_the_program_says_so(life: Life) -> None:
    assert "hush-1" not in json.dumps(life.state["secretive"])
    assert life.first["secretive"]["stdout"] == "hush-1"


@pytest.fixture(scope="module")
def unchanged(life: Life) -> int:
    """SSH connections of an `up` and a refresh without a change."""
    before = life.ssh.connections
    life.stack.up()
    life.stack.refresh()
    return life.ssh.connections - before


def test_without_a_change_nothing_connects(unchanged: int) -> None:
    assert unchanged == 0


SECOND = FIRST | {
    "updated": FIRST["updated"] | {"create": "echo created anew"},
    "remembering": {"create": 'echo  "before=$PULUMI_COMMAND_STDOUT"'},
    "replaced": FIRST["replaced"] | {"triggers": ["one", {"two": 3}]},
    "stdin": FIRST["stdin"] | {"stdin": "second"},
}


@dataclass(frozen=True)
class Change:
    planned: dict[str, dict[str, Any]]
    results: dict[str, Any]
    commands: list[str]
    environments: dict[str, dict[str, str]]


@pytest.fixture(scope="module")
def change(life: Life, unchanged: int) -> Change:
    life.apply(SECOND)
    planned = life.stack.planned()
    start = len(life.ssh.commands)
    life.stack.up()
    commands = life.ssh.commands[start:]
    environments = dict(zip(commands, life.ssh.environments[start:], strict=True))
    return Change(planned, life.stack.outputs()["results"], commands, environments)


def test_a_preview_names_the_changed_inputs(change: Change) -> None:
    assert change.planned["stdin"]["op"] == "update"
    assert list(change.planned["stdin"]["paths"]) == ["stdin"]
    assert list(change.planned["updated"]["paths"]) == ["create"]


def test_a_preview_leaves_the_unchanged_alone(change: Change) -> None:
    assert "plain" not in change.planned


def test_changed_triggers_replace(change: Change) -> None:
    assert change.planned["replaced"]["op"] == "replace"
    assert list(change.planned["replaced"]["paths"]) == ["triggers[1].two"]
    assert change.results["replaced"]["id"] != "" != change.results["replaced"]["stdout"]


def test_a_replacement_creates_before_it_deletes(change: Change) -> None:
    assert [command for command in change.commands if "made" in command] == ["echo made", "echo unmade"]


def test_a_changed_input_runs_update(change: Change) -> None:
    assert change.results["updated"]["stdout"] == "updated"


def test_without_update_create_runs_again_in_place(change: Change, life: Life) -> None:
    assert change.results["stdin"] == {"stdout": "second", "stderr": "", "id": life.first["stdin"]["id"]}


def test_the_previous_output_is_in_the_environment(change: Change) -> None:
    assert change.results["remembering"]["stdout"] == "before=before="


def test_the_previous_output_can_be_left_out(change: Change) -> None:
    assert change.environments["echo updated"] == {}


def test_any_part_of_the_connection_runs_all_again(life: Life, change: Change) -> None:
    life.apply(SECOND, dialErrorLimit=4)
    planned = life.stack.planned()
    assert {planned[name]["op"] for name in SECOND} == {"update"}
    assert list(planned["plain"]["paths"]) == ["connection"]
    assert life.ssh.private_key.splitlines()[1] not in json.dumps(planned)


def test_a_failed_update_keeps_the_old_state_and_runs_again(life: Life, change: Change) -> None:
    life.apply(SECOND | {"updated": SECOND["updated"] | {"update": 'echo "so"; echo "bad" >&2; exit 3'}})
    failed = life.stack.up(check=False)
    assert failed.status != 0
    assert 'Process exited with status 3: running "echo \\"so\\"; echo \\"bad\\" >&2; exit 3":' in failed.text
    assert life.stack.resources()["updated"]["outputs"]["stdout"] == "updated"
    life.apply(SECOND | {"updated": SECOND["updated"] | {"update": "echo mended"}})
    life.stack.up()
    assert life.stack.outputs()["results"]["updated"]["stdout"] == "mended"


def test_destroy_runs_delete_with_the_outputs_in_the_environment(life: Life, change: Change) -> None:
    start = len(life.ssh.commands)
    life.stack.destroy()
    left = dict(zip(life.ssh.commands[start:], life.ssh.environments[start:], strict=True))
    assert set(left) == {FIRST["plain"]["delete"], FIRST["replaced"]["delete"]}
    assert left[FIRST["plain"]["delete"]]["PULUMI_COMMAND_STDOUT"] == "out"


def test_a_password_can_log_in(make_stack: MakeStack, ssh: Server) -> None:
    stack = make_stack()
    stack.settings(host="127.0.0.1", port=ssh.port, password=PASSWORD)
    stack.program("""
        connection = remote.ConnectionArgs(user="someone", dial_error_limit=0, **settings)
        pulumi.export("who", remote.Command("who", connection=connection, create="echo me").stdout)
    """)
    stack.up()
    assert stack.outputs() == {"who": "me"}
