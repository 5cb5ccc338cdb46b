"""Run one Pulumi program: `program.py` in the program's virtual environment, its settings as JSON on stdin.

Runs by path, in an interpreter that need not know this project: it imports nothing but the SDK.
"""

import asyncio
import json
import logging
import os
import runpy
import sys
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

SHOWN_ALREADY = 32
"""Exit status of a program whose error the engine has already been told."""

INTERRUPTED = 130
"""Exit status of a program that was ended by an interrupt, as a shell has it."""


def _start_of_program(program: str) -> str:
    """The file that the program starts with."""
    path = Path(program)
    return str(path / "__main__.py" if path.is_dir() else path)


def _user_traceback(program: str) -> str:
    """The current exception's traceback from the program's own first frame on."""
    frames = traceback.extract_tb(sys.exc_info()[2])
    start = os.path.realpath(_start_of_program(program))
    for index, frame in enumerate(frames):
        if os.path.realpath(frame.filename) == start:
            return traceback.format_exc(limit=-(len(frames) - index))
    return traceback.format_exc()


def main() -> int:
    """Run the program to the end of all its resources; returns the exit status."""
    specification: dict[str, Any] = json.load(sys.stdin)
    try:
        import pulumi  # noqa: PLC0415 (its absence is reported, not raised)
        import pulumi.runtime  # noqa: PLC0415
    except ImportError:
        print(traceback.format_exc(), file=sys.stderr)
        print(
            "It looks like the Pulumi SDK has not been installed. Have you run pip install?\n"
            f"The program ran with {sys.executable}.",
            file=sys.stderr,
        )
        return 1
    pulumi.runtime.set_all_config(specification["config"], specification["configSecretKeys"])
    pulumi.runtime.configure(pulumi.runtime.Settings(**specification["settings"]))
    program: str = specification["program"]
    sys.argv = [program, *specification["arguments"]]
    os.chdir(specification["directory"])
    # Python put the directory of this file first; the program's own belongs there.
    sys.path[0] = str(Path(_start_of_program(program)).parent)

    # A program that fails leaves values behind that nobody waits for; asyncio would complain about each one.
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    executor = ThreadPoolExecutor(max_workers=max(specification["settings"]["parallel"], 1) * 4)
    loop.set_default_executor(executor)

    def run() -> None:
        if not Path(_start_of_program(program)).exists():
            raise pulumi.RunError(f"unable to find main python program `__main__.py` in `{program}`")
        runpy.run_path(program, run_name="__main__")

    try:
        loop.run_until_complete(pulumi.runtime.run_in_stack(run))
    except KeyboardInterrupt:
        return INTERRUPTED
    except pulumi.RunError as error:
        pulumi.log.error(str(error))
        return 1
    except Exception:  # noqa: BLE001 (whatever the program raises is reported to its user)
        pulumi.log.error("Program failed with an unhandled exception:\n" + _user_traceback(program))
        return SHOWN_ALREADY
    else:
        return 0
    finally:
        executor.shutdown(wait=True)
        loop.close()


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    sys.stderr.flush()
    sys.exit(status)
