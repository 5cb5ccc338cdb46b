"""The storage of one stack: settings, platform, storage, outputs."""

from components import config
from components.outputs import export
from components.platforms.registry import open_platform
from components.storage import build

settings = config.load_settings()
platform = open_platform(settings)
storage = build(settings, platform)
export(settings, storage)
