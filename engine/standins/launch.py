"""Start one stand-in: `python launch.py command|random|tls|aws|language|dynamic ENGINE_ADDRESS`.

Run by path, so that it works from any directory and needs nothing installed beside the SDK.
"""

import importlib
import sys
from pathlib import Path

MODULES = {
    "aws": "engine.standins.aws.plugin",
    "command": "engine.standins.command.plugin",
    "random": "engine.standins.randoms.plugin",
    "tls": "engine.standins.tls.plugin",
    "language": "engine.standins.language",
    "dynamic": "engine.standins.dynamic",
}

if __name__ == "__main__":
    here = Path(__file__).resolve().parent
    sys.path = [str(here.parent.parent), *(path for path in sys.path if path != str(here))]
    importlib.import_module(MODULES[sys.argv.pop(1)]).main()
