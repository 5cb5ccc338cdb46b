"""The plugin behind `pulumi.dynamic` resources: the SDK's own server, run as the real launcher does."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

from engine.standins import orphan


def main() -> None:
    """Serve dynamic providers until the engine ends the process."""
    # Dynamic providers are pickled by reference to the program's modules: the engine starts this plugin in
    # the program's directory, which has to be importable.
    orphan.watch()
    sys.path.insert(0, str(Path.cwd()))
    runpy.run_module("pulumi.dynamic", run_name="__main__", alter_sys=True)
