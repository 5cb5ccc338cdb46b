"""The preview report on recorded previews of the real engine: what it says, how it judges, how long it gets."""

import json

import pytest

from operate.errors import OperateError
from operate.report.frame import LEAST_CHARACTERS, MOST_CHARACTERS
from operate.report.preview import UNKNOWN, parse
from tests.operate.report.golden import NAMES, expected, judged, recorded, reported
from tests.project import SOURCE

pytestmark = pytest.mark.review

DANGEROUS = {
    "disk-replaced",
    "disk-replaced-refused",
    "drift-disk-gone",
    "drift-machine-gone",
    "generation-lowered",
    "machine-replaced",
    "many-things",
    "node-renamed",
    "node-renamed-refused",
    "protection-lifted",
    "secret-root-replaced",
    "secret-root-replaced-refused",
    "three-nodes-resized",
    "three-nodes-to-two",
}

SENTENCES = {
    "environment-added": "- `docs`: new environment, clients 10.1.0.0/16; read access granted to shop",
    "environment-removed": "- `blog`: export withdrawn, data kept",
    "clients-changed": "- `blog`: clients 10.2.0.0/16 added",
    "readers-changed": "- `shop`: read access taken back from blog",
    "password-rotated": "- `shop`: password rotated, generation 1 → 2, and the keys of its readers",
    "disk-grown": "- `storage-1`: data disk 10 → 20 GB, online",
    "machine-resized": "- `storage-1`: processors 1 → 2; memory 1024 → 2048 MiB; restart",
    "program-changed": "- `storage-1`: node program changed, the node is configured again",
    "admins-changed": "- `storage-1`: SSH open to 10.0.2.2 and 10.9.0.0/24, before to 10.0.2.2",
    "three-nodes-resized": "> - storage-1, storage-2 and storage-3: more than one node stops at a time.",
    "machine-replaced": "- `storage-1`: machine replaced by a fresh one, data disk kept",
    "disk-replaced": "> - `storage-1`: its data disk is replaced by an empty one and deleted with the backups on it.",
    "node-renamed": "> - `storage-1`: its data disk is deleted with the backups on it; its machine is deleted.",
    "generation-lowered": "> - `blog`: a former password comes back into use, and whoever still knows it gets in;",
    "secret-root-replaced": "> - the secret root of all passwords is replaced: every repository gets a new password",
    "protection-lifted": "> - protection is lifted from 1 data disk and 1 secret root:",
    "disk-shrunk-refused": "disk storage-1-data has 10 GB and 5 GB are asked for",
    "environments-added-500": "**Changes to 500 environments (500 new), none of them dangerous.**",
    "drift-machine-off": "- machine storage-1 is off; `pulumi up` starts it",
}


@pytest.mark.parametrize("name", NAMES)
def test_each_kind_of_change_gives_its_report(name: str) -> None:
    assert reported(name) == expected(name).read_text(encoding="utf-8")


def test_the_readme_shows_a_report_as_it_is() -> None:
    shown = (SOURCE / "README.md").read_text(encoding="utf-8")
    assert expected("many-things").read_text(encoding="utf-8").partition("<details>")[0].strip() in shown


@pytest.mark.parametrize(("name", "sentence"), SENTENCES.items())
def test_each_kind_of_change_is_said_in_words(name: str, sentence: str) -> None:
    assert sentence in reported(name)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_dangerous_is_called_so_and_nothing_else(name: str) -> None:
    assert judged(name).dangerous is (name in DANGEROUS)
    assert ("[!CAUTION]" in reported(name)) is (name in DANGEROUS)


@pytest.mark.parametrize("name", NAMES)
def test_the_engines_order_of_steps_changes_nothing(name: str) -> None:
    content = json.loads(recorded(name))
    content["steps"].reverse()
    assert reported(name, json.dumps(content)) == reported(name)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("limit", [LEAST_CHARACTERS, 10_000, 30_001, MOST_CHARACTERS])
def test_a_report_keeps_to_its_limit_and_closes_what_it_opens(name: str, limit: int) -> None:
    text = reported(name, limit=limit)
    assert len(text) <= limit
    assert text.count("```") % 2 == 0
    assert text.count("<details>") == text.count("</details>")


def test_a_report_that_is_cut_off_says_how_to_see_the_rest() -> None:
    text = reported("environments-added-500", limit=LEAST_CHARACTERS)
    assert "- … and 470 more" in text
    assert "more lines; `make preview STACK=test` shows them all" in text


def test_the_dangerous_is_first_even_where_it_concerns_hundreds_of_environments() -> None:
    content = json.loads(recorded("environments-added-500"))
    (step,) = (step for step in content["steps"] if step["urn"].endswith(":Environments::environments"))
    step["oldState"] = json.loads(json.dumps(step["newState"]))
    for settings in step["oldState"]["inputs"]["environments"].values():
        settings["generation"] += 1
    text = reported("environments-added-500", json.dumps(content), limit=20_000)
    assert len(text) <= 20_000
    assert text.index("[!CAUTION]") < text.index("a former password comes back") < text.index("**Environments**")
    assert "(502 changed)" in text


def test_hundreds_of_environments_that_go_are_counted() -> None:
    content = json.loads(recorded("environments-added-500"))
    for step in content["steps"]:
        step["oldState"], step["newState"] = step.get("newState"), step.get("oldState")
    assert "**Changes to 500 environments (500 withdrawn)" in reported("environments-added-500", json.dumps(content))


@pytest.mark.parametrize(("op", "what"), [("delete", "deleted"), ("create", "made anew"), ("replace", "replaced")])
def test_a_secret_root_that_does_not_stay_turns_every_password(op: str, what: str) -> None:
    content = json.loads(recorded("secret-root-replaced"))
    (step,) = (step for step in content["steps"] if step["op"] == "replace")
    step["op"] = op
    text = reported("secret-root-replaced", json.dumps(content))
    assert f"> - the secret root of all passwords is {what}: every repository gets a new password" in text


def test_values_that_are_not_known_yet_are_called_so() -> None:
    for name in NAMES:
        assert UNKNOWN not in reported(name)


@pytest.mark.parametrize("kept", ["protect", "retainOnDelete"])
def test_either_protection_counts_where_it_is_lifted(kept: str) -> None:
    content = json.loads(recorded("protection-lifted"))
    for step in content["steps"]:
        for state in (step["oldState"], step["newState"]):
            for other in {"protect", "retainOnDelete"} - {kept}:
                state.pop(other, None)
    assert "> - protection is lifted from 1 data disk" in reported("nothing", json.dumps(content))


def test_a_label_that_allows_it_is_named_in_the_warning() -> None:
    assert "A maintainer has allowed this" in reported("disk-replaced", allowed=True)
    assert "The check passes only with the label `allow-destructive`" in reported("disk-replaced")


def test_what_is_not_known_to_this_report_is_named_all_the_same() -> None:
    content = json.loads(recorded("nothing"))
    urn = "urn:pulumi:test::backup-storage::new:cloud/bucket:Bucket::spare"
    state = {"inputs": {"colour": "red"}, "protect": True, "surprise": [1]}
    content["steps"].append({"op": "delete", "urn": urn, "oldState": state, "novelty": {}})
    text = reported("nothing", json.dumps(content))
    assert "- `spare`: Bucket, deleted" in text
    assert "> - `spare`: it is protected and goes (delete)." in text


def test_a_backtick_in_a_value_does_not_end_the_diff() -> None:
    text = reported("environment-added", recorded("environment-added").replace("10.1.0.0/16", "````"))
    assert "`````diff\n" in text
    assert text.rstrip().endswith("`````\n\n</details>")


@pytest.mark.parametrize(
    "text", ["", "Error: no stack", "[]", '{"steps": [{"op": "same"}]}', '{"steps": [{"op": "same", "urn": "x"}]}']
)
def test_what_is_no_preview_is_refused_with_a_sentence(text: str) -> None:
    with pytest.raises(OperateError, match="This is no preview of Pulumi"):
        parse(text)


@pytest.mark.parametrize("name", NAMES)
def test_secrets_stay_hidden_even_where_the_engine_shows_them(name: str) -> None:
    """The recordings with something else in the place of each secret, as `--show-secrets` would have it."""
    shown = recorded(name).replace("[secret]", "correct-horse-battery-staple")
    assert "correct-horse" in shown or "refused" in name
    assert "correct-horse" not in reported(name, shown)
