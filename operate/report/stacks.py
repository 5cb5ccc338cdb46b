"""``python3 -m operate.report.stacks``: which stacks a workflow has to look at, as a JSON list.

Runs on the standard library alone, so that the job which only asks this installs nothing. A stack on the local
platform lives on one computer, so no workflow can reach it and none is told of it.
"""

import argparse
import json
import re
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from operate.report.frame import LEAST_CHARACTERS, MOST_CHARACTERS

#: What makes a stack what it is; everything else in the project can change without changing a stack.
_PROGRAM = ("components/", "engine/", "plan/", "storage_node/", "__main__.py", "Pulumi.yaml", "requirements.txt")

_SETTINGS = re.compile(r"Pulumi\.(?P<stack>[A-Za-z0-9][A-Za-z0-9_.-]*)\.yaml")
_PLATFORM = re.compile(r"""^\s+["']?backup-storage:platform["']?\s*:\s*["']?(?P<platform>[a-z]+)""", re.MULTILINE)


def shared(root: Path) -> list[str]:
    """The stacks whose settings are in ``root`` and whose platform is not this computer, by name."""
    found = []
    for path in sorted(root.glob("Pulumi.*.yaml")):
        settings = _SETTINGS.fullmatch(path.name)
        platform = _PLATFORM.search(path.read_text(encoding="utf-8"))
        if settings and platform and platform["platform"] != "local":
            found.append(settings["stack"])
    return found


def touched(stacks: Sequence[str], paths: Iterable[str]) -> list[str]:
    """Those of the stacks that a change of these files can change."""
    changed = set(paths)
    if any(path.startswith(_PROGRAM) for path in changed):
        return list(stacks)
    return [stack for stack in stacks if f"Pulumi.{stack}.yaml" in changed]


def changed_paths(root: Path, base: str) -> list[str]:
    """The files in which this commit differs from where it branched off ``base``.

    Raises subprocess.CalledProcessError, with git's reason in its stderr, where there is no such commit.
    """
    done = subprocess.run(
        ["git", "diff", "--name-only", "-z", "--no-renames", f"{base}...HEAD"],
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
    )
    return [path for path in done.stdout.split("\0") if path]


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the list."""
    parser = argparse.ArgumentParser(prog="operate.report.stacks", description=__doc__)
    parser.add_argument("--base", help="only the stacks that this commit changes against that one")
    parser.add_argument("--github", action="store_true", help="as outputs of a workflow's step")
    options = parser.parse_args(arguments)
    root = Path.cwd()
    stacks = shared(root)
    if options.base:
        try:
            stacks = touched(stacks, changed_paths(root, options.base))
        except subprocess.CalledProcessError as error:
            print(f"stacks: git cannot compare with {options.base}: {error.stderr.strip()}", file=sys.stderr)
            return 1
    if options.github:
        print(f"stacks={json.dumps(stacks)}")
        print(f"limit={max(LEAST_CHARACTERS, MOST_CHARACTERS // max(1, len(stacks)))}")
    else:
        print(json.dumps(stacks))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
