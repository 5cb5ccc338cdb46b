"""The catalogue over a thousand repositories, against asking restic for each in sequence."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.figures import Figure
from components.qemu import image
from storage_node import atomic
from storage_node.paths import Paths
from storage_node.restic import keys
from storage_node.restic.command import Repository
from tests.storage_node import quick_restic

_REPOSITORIES, _SNAPSHOTS = 1000, 30

#: A small storage beside the large one shows whether the cost of a repository grows with their number.
_FEW = 10

#: restic is asked about so many repositories before the first call and as many after it; it takes the same for each.
_SAMPLE = 6

_PASSWORD, _QUICK = "benchmark-password-0123456789abcdef", "quick-benchmark-password-0123456789"

_HOME = Path(__file__).resolve().parent.parent

#: One call in a process of its own, as a person's is; its peak memory in kB goes to stderr. getrusage(2) would count
#: what the measuring process had when it started this one.
_CALL = (
    "import sys; sys.path.insert(0, sys.argv[2]); from pathlib import Path;"
    "from storage_node.catalogue import entry; from storage_node.paths import Paths;"
    "entry.run(['all'], Paths(root=Path(sys.argv[1])));"
    "print(open('/proc/self/status').read().split('VmHWM:')[1].split()[0], file=sys.stderr)"
)


@dataclass(frozen=True)
class _Call:
    seconds: float
    megabytes: float
    backups: int


def measure() -> Iterator[Figure]:
    """All figures of the catalogue. The repositories are copies of one that restic itself made."""
    os.environ["PATH"] = f"{image.ensure(print).restic.parent}:{os.environ['PATH']}"
    with tempfile.TemporaryDirectory() as directory:
        base = Path(directory)
        template, later = _templates(base)
        few, many = (_storage(base / str(count), template, count) for count in (_FEW, _REPOSITORIES))
        # Before and after, for the computer may be busier at one time than at the other.
        sampled, first_few = [_by_restic(many, 0)], [_call(few).seconds]
        first = _call(many)
        _expect(first, _SNAPSHOTS)
        shutil.rmtree(few.cache)
        first_few.append(_call(few).seconds)
        sampled.append(_by_restic(many, _SAMPLE))
        sequential = sum(sampled) / len(sampled) * _REPOSITORIES
        text = f"against `restic snapshots` in sequence, {sequential:.0f} s by a sample of {2 * _SAMPLE}"
        unchanged_few = min((_call(few) for _ in range(3)), key=lambda call: call.seconds)
        unchanged = sorted((_call(many) for _ in range(3)), key=lambda call: call.seconds)[1]
        for repository in many.data.iterdir():
            shutil.copy(later, repository / "snapshots" / later.name)
        changed = _call(many)
        _expect(changed, _SNAPSHOTS + 1)
    cores = os.cpu_count() or 1
    yield Figure("catalogue-unchanged", sequential / unchanged.seconds, "times as fast", 500, "higher", text)
    yield Figure("catalogue-unchanged-time", unchanged.seconds, "s", 0.5, "lower", "1,000 repositories")
    yield Figure("catalogue-one-new-each", sequential / changed.seconds, "times as fast", 50, "higher", text)
    yield Figure("catalogue-first", sequential / first.seconds, "times as fast", cores, "higher", text)
    yield Figure("catalogue-memory", max(first.megabytes, changed.megabytes), "MB", 100, "lower", "peak of any call")
    flat = (first.seconds / _REPOSITORIES) / (sum(first_few) / len(first_few) / _FEW)
    yield Figure("catalogue-first-flat", flat, "of the cost per repository", 1.2, "lower", f"against {_FEW}")
    grown = (unchanged.seconds - unchanged_few.seconds) / (_REPOSITORIES - _FEW) * 1000
    yield Figure("catalogue-unchanged-each", grown, "ms a repository", 0.5, "lower", f"beyond the first {_FEW}")


def _templates(base: Path) -> tuple[Path, Path]:
    """A repository of restic's making with thirty snapshots, and the file of one snapshot more."""
    template, later, source = base / "template", base / "later", base / "source"
    _restic(template, _PASSWORD, "init")
    # With a second key that is quick to derive; it is gone before anything is measured.
    quick_restic.add_key(Repository(template, 0), _PASSWORD, _QUICK, "bench", "bench")
    quick = next(key for key in keys.in_repository(Repository(template, 0)) if key.username == "bench")
    source.mkdir()
    for number in range(_SNAPSHOTS + 1):
        if number == _SNAPSHOTS:
            shutil.copytree(template, later)
        (source / "file").write_text(str(number))
        tag, moment = f"2026-01-{number + 1:02}_020000_UTC abc{number} auto", f"2026-01-{number + 1:02} 02:00:00"
        target = later if number == _SNAPSHOTS else template
        arguments = ("--key-hint", quick.id, "backup", "-q", str(source), "--tag", tag, "--time", moment)
        _restic(target, _QUICK, *arguments)
    (template / "keys" / quick.id).unlink()
    known = {path.name for path in (template / "snapshots").iterdir()}
    return template, next(path for path in (later / "snapshots").iterdir() if path.name not in known)


def _storage(root: Path, template: Path, count: int) -> Paths:
    """A node's directories with ``count`` repositories, whose catalogue nobody has asked for yet."""
    paths = Paths(root=root)
    paths.data.mkdir(parents=True)
    atomic.private_directory(paths.passwords)
    for number in range(count):
        name = f"env{number:04}"
        shutil.copytree(template, paths.data / name, ignore=shutil.ignore_patterns("??"))
        (paths.passwords / name).write_text(_PASSWORD + "\n")
    return paths


def _by_restic(paths: Paths, start: int) -> float:
    """Seconds that restic takes for one repository, by a sample from ``start`` on."""
    began = time.monotonic()
    for number in range(start, start + _SAMPLE):
        _restic(paths.data / f"env{number:04}", _PASSWORD, "snapshots", "--json")
    return (time.monotonic() - began) / _SAMPLE


def _call(paths: Paths) -> _Call:
    began = time.monotonic()
    line = [sys.executable, "-IS", "-c", _CALL, str(paths.root), str(_HOME)]
    done = subprocess.run(line, capture_output=True, text=True, check=True)
    seconds = time.monotonic() - began
    answer = json.loads(done.stdout)
    if answer["result"] != 0:
        raise AssertionError(f"The catalogue answered: {answer['error']}")
    return _Call(seconds, int(done.stderr) / 1024, min(len(names) for names in answer["backups"].values()))


def _expect(call: _Call, backups: int) -> None:
    if call.backups != backups:
        raise AssertionError(f"The catalogue lists {call.backups} backups of an environment that has {backups}.")


def _restic(repository: Path, password: str, *arguments: str) -> None:
    line = ["restic", "--no-cache", "--repo", str(repository), *arguments]
    subprocess.run(line, input=f"{password}\n{password}\n", capture_output=True, text=True, check=True)
