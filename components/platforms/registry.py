"""The platforms by the names that the settings use."""

from collections.abc import Callable

from components.platforms.base import Platform
from components.platforms.local import LocalPlatform
from plan.settings import Settings

_PLATFORMS: dict[str, Callable[[Settings], Platform]] = {"local": LocalPlatform}


def open_platform(settings: Settings) -> Platform:
    """The platform that the settings name."""
    return _PLATFORMS[settings.platform](settings)
