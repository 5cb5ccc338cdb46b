"""Reads a stack's configuration into its settings."""

import json
from typing import Any

import pulumi
from pulumi.runtime.config import CONFIG, is_config_secret

from plan.problems import SettingsError
from plan.settings import NAMESPACE, SECRETS, Settings, load


def load_settings() -> Settings:
    """The stack's settings, with what is unwise in them as warnings.

    Raises pulumi.RunError, which ends the program with its message alone, where they cannot be used.
    """
    try:
        settings = load(_stack_settings())
        _refuse_secrets_in_clear()
    except SettingsError as error:
        raise pulumi.RunError(str(error)) from error
    for text in settings.warnings():
        pulumi.log.warn(text)
    return settings


def _refuse_secrets_in_clear() -> None:
    keys = [f"{NAMESPACE}:{name}" for name in SECRETS]
    clear = [key for key in keys if CONFIG.get().get(key) and not is_config_secret(key)]
    if clear:
        text = (
            "{0} is in clear in the stack's settings; make a new one and set it with `pulumi config set --secret {0}`."
        )
        raise SettingsError([text.format(key) for key in clear])


def _stack_settings() -> dict[str, Any]:
    """All of the stack's settings in the project's namespace, unknown ones included, so that they can be refused."""
    prefix = f"{NAMESPACE}:"
    return {
        key.removeprefix(prefix): _value(key.removeprefix(prefix), text)
        for key, text in CONFIG.get().items()
        if key.startswith(prefix)
    }


def _value(key: str, text: Any) -> Any:
    """Pulumi hands every value over as text; what is no text in the model is JSON in it."""
    texts = {*SECRETS, *(field.alias for field in Settings.model_fields.values() if field.annotation is str)}
    if key in texts or not isinstance(text, str):
        return text
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text
