"""Reads a stack's configuration into its settings."""

import json
from typing import Any

import pulumi
from pulumi.runtime.config import CONFIG

from plan.problems import SettingsError
from plan.settings import NAMESPACE, Settings, load


def load_settings() -> Settings:
    """The stack's settings, with what is unwise in them as warnings.

    Raises pulumi.RunError, which ends the program with its message alone, where they cannot be used.
    """
    try:
        settings = load(_stack_settings())
    except SettingsError as error:
        raise pulumi.RunError(str(error)) from error
    for text in settings.warnings():
        pulumi.log.warn(text)
    return settings


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
    texts = {field.alias for field in Settings.model_fields.values() if field.annotation is str}
    if key in texts or not isinstance(text, str):
        return text
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text
