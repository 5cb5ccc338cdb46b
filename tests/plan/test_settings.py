"""Settings: what is accepted, and what each refusal says."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from plan.environments import NAME
from plan.problems import SettingsError
from plan.settings import NAMESPACE, Settings, load

pytestmark = pytest.mark.plan

ROOT = Path(__file__).resolve().parents[2]


def problems(**raw: Any) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load(raw)
    return list(caught.value.problems)


def test_the_defaults_are_a_small_local_standalone_storage() -> None:
    settings = load({})
    assert (settings.platform, settings.topology, settings.size_gb, settings.protect) == (
        "local",
        "standalone",
        10,
        True,
    )


def test_all_problems_are_reported_at_once() -> None:
    found = problems(
        sizeGb=3,
        platform="moon",
        diskSize=20,
        environments={
            "Shop": {},
            "blog": {"clients": ["10.1.2.3/16", "nowhere"], "readers": ["blog", "ghost"]},
        },
    )
    assert any("backup-storage:sizeGb is 3; it must be 5 or more." in text for text in found)
    assert any("backup-storage:platform is 'moon'; it must be 'local'" in text for text in found)
    assert any(text.startswith("backup-storage:diskSize is no setting; the settings are ") for text in found)
    assert any("'Shop' is no environment name; a name has 1 to 63 characters" in text for text in found)
    assert any("'10.1.2.3/16' names a host inside a range; write 10.1.0.0/16 for the range" in text for text in found)
    assert any("'nowhere' is no address or CIDR range" in text for text in found)


def test_problems_between_sound_values_are_reported_beside_problems_of_others() -> None:
    found = problems(sizeGb=1, environments={"shop": {"readers": ["shop", "ghost"]}})
    assert len(found) == 3
    assert any("names shop itself" in text for text in found)
    assert any("ghost, which is no environment of this stack (shop)" in text for text in found)


def test_an_unknown_key_of_an_environment_is_answered_with_the_valid_ones() -> None:
    (text,) = problems(environments={"shop": {"client": ["10.0.0.1"]}})
    assert text == (
        "backup-storage:environments.shop.client is no setting; "
        "the settings of an environment are clients, generation, readers."
    )


@pytest.mark.parametrize("client", ["8.8.8.8", "0.0.0.0/0", "2600::/16"])
def test_clients_on_the_internet_are_refused_unless_insisted_on(client: str) -> None:
    raw = {"shop": {"clients": [client]}}
    (text,) = problems(environments=raw)
    assert "NFS travels unencrypted" in text
    assert load({"environments": raw, "allowPublicClients": True}).environments["shop"].clients == (client,)


def test_the_same_client_twice_is_refused() -> None:
    (text,) = problems(environments={"shop": {"clients": ["10.0.0.1", "10.0.0.1/32"]}})
    assert text.endswith("lists 10.0.0.1 more than once; list it once.")


def test_a_storage_beside_its_applications_brings_a_warning() -> None:
    settings = load({"region": "home", "applicationRegions": ["home"], "environments": {"a": {}}})
    (text,) = settings.warnings()
    assert "one disaster would take the applications and their backups together" in text


@pytest.mark.parametrize("generation", [0, -1, "2", 1.5])
def test_a_generation_counts_from_one(generation: Any) -> None:
    (text,) = problems(environments={"shop": {"generation": generation}})
    assert text.startswith("backup-storage:environments.shop.generation is ")


@given(st.from_regex(NAME, fullmatch=True))
def test_every_name_by_the_rule_is_accepted(name: str) -> None:
    assert list(load({"environments": {name: {}}}).environments) == [name]


@given(st.text().filter(lambda text: not NAME.fullmatch(text)))
def test_every_other_name_is_refused(name: str) -> None:
    assert "is no environment name" in problems(environments={name: {}})[0]


@example({"[key]": None})
@given(st.dictionaries(st.text(), st.one_of(st.none(), st.integers(), st.text(), st.lists(st.integers()))))
def test_whatever_the_settings_hold_the_answer_is_settings_or_sentences(raw: dict[str, Any]) -> None:
    try:
        load(raw)
    except SettingsError as error:
        assert all(text.endswith(".") for text in error.problems)


def test_pulumi_is_told_of_every_setting_with_the_models_own_default() -> None:
    declared = yaml.safe_load((ROOT / "Pulumi.yaml").read_text(encoding="utf-8"))["config"]
    entries = {key.removeprefix(f"{NAMESPACE}:"): entry for key, entry in declared.items()}
    assert load({key: entry["default"] for key, entry in entries.items()}) == load({})
    assert set(entries) == {field.alias for field in Settings.model_fields.values()}


def test_no_setting_is_declared_as_secret_since_the_engine_would_refuse_its_default() -> None:
    assert "secret:" not in (ROOT / "Pulumi.yaml").read_text(encoding="utf-8")
