"""The platforms by the names that the settings use."""

from collections.abc import Callable
from importlib import import_module

from components.platforms.base import Platform
from plan.settings import Settings

#: Where each platform's class is. Imported only when it is used: a preview need not wait for the others' libraries.
_PLATFORMS = {
    "local": ("components.platforms.local", "LocalPlatform"),
    "aws": ("components.platforms.aws.platform", "AwsPlatform"),
    "hosts": ("components.platforms.hosts", "HostsPlatform"),
}


def open_platform(settings: Settings) -> Platform:
    """The platform that the settings name."""
    module, name = _PLATFORMS[settings.platform]
    make: Callable[[Settings], Platform] = getattr(import_module(module), name)
    return make(settings)
