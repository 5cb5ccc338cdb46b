"""The node image: Debian 13 with a storage node's packages, built once per recipe and kept in the user's cache."""

import os
import shlex
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fcntl import LOCK_EX, LOCK_NB, LOCK_UN, flock
from pathlib import Path

from components.qemu import initrd
from components.qemu.recipe import Recipe

Progress = Callable[[str], None]


class ImageError(RuntimeError):
    """The node image could not be built."""


@dataclass(frozen=True)
class Image:
    """A finished image: a directory whose files never change once it exists."""

    directory: Path

    @property
    def disk(self) -> Path:
        """Root file system, qcow2."""
        return self.directory / "root.qcow2"

    @property
    def kernel(self) -> Path:
        """Linux, started directly."""
        return self.directory / "vmlinuz"

    @property
    def initrd(self) -> Path:
        """The first file system, which mounts the root disk."""
        return self.directory / "initrd"

    @property
    def restic(self) -> Path:
        """The image's restic program, for use on the host: statically linked. There only where the recipe has it."""
        return self.directory / "restic"


def tool_path() -> str:
    """Where the tools are looked for: some are for administrators and not on everyone's PATH."""
    return os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"))


def cache_directory() -> Path:
    """Where images are kept, outside any checkout."""
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "backup-storage" / "images"


def find(recipe: Recipe | None = None) -> Image | None:
    """The image of this recipe, when it has been built."""
    directory = cache_directory() / (recipe or Recipe()).digest
    return Image(directory) if directory.is_dir() else None


def ensure(progress: Progress, recipe: Recipe | None = None) -> Image:
    """The image of this recipe, built now when it is not there yet.

    Several callers may ask at once: one builds, the others wait. A build that is interrupted leaves nothing that
    could be taken for an image, and the next one clears its leftovers. Raises ImageError.
    """
    recipe = recipe or Recipe()
    if image := find(recipe):
        return image
    cache = cache_directory()
    cache.mkdir(parents=True, exist_ok=True)
    with _locked(cache / "build.lock", progress):
        if image := find(recipe):
            return image
        for leftover in cache.glob("building-*"):
            progress(f"clearing an interrupted build ({leftover.name})")
            shutil.rmtree(leftover)
        work = Path(tempfile.mkdtemp(prefix="building-", dir=cache))
        work.chmod(0o755)
        try:
            made = _build(recipe, work, progress)
            made.rename(cache / recipe.digest)
        finally:
            shutil.rmtree(work, ignore_errors=True)
    return Image(cache / recipe.digest)


@contextmanager
def _locked(path: Path, progress: Progress) -> Iterator[None]:
    with path.open("w") as lock:
        try:
            flock(lock, LOCK_EX | LOCK_NB)
        except BlockingIOError:
            progress("another build of the node image is under way: waiting for it")
            flock(lock, LOCK_EX)
        yield
        flock(lock, LOCK_UN)


def _build(recipe: Recipe, work: Path, progress: Progress) -> Path:
    tree, raw, made = work / "tree", work / "root.raw", work / "image"
    made.mkdir()
    reading = _tree(recipe, work, progress)
    progress("copying out what the host uses of it")
    [kernel] = tree.glob("boot/vmlinuz-*")
    shutil.copyfile(kernel, made / "vmlinuz")
    (made / "initrd").write_bytes(initrd.build(tree))
    if "restic" in recipe.packages:
        shutil.copyfile(tree / "usr/bin/restic", made / "restic")
        (made / "restic").chmod(0o755)
    progress("making the root file system")
    raw.touch()
    os.truncate(raw, recipe.root_size_gb << 30)
    # The two features are newer than the e2fsprogs of a Debian 12 host could repair.
    features = "^metadata_csum_seed,^orphan_file"
    make = ["mkfs.ext4", "-q", "-F", "-L", "node-root", "-O", features, "-d", str(tree), str(raw)]
    _run([*reading, *make], progress)
    _run(["qemu-img", "convert", "-O", "qcow2", str(raw), str(made / "root.qcow2")], progress)
    return made


def _tree(recipe: Recipe, work: Path, progress: Progress) -> list[str]:
    """Install Debian into ``work/tree``. What a command that reads the tree has to be started with."""
    tree, own = work / "tree", work / "files.tar"
    with tarfile.open(own, "w") as archive:
        archive.add(recipe.files / "files", arcname=".", filter=_as_root)
    root = os.geteuid() == 0
    target = tree if root else work / "tree.tar"
    command = [
        "mmdebstrap",
        f"--mode={'root' if root else 'unshare'}",
        "--variant=apt",
        f"--format={'directory' if root else 'tar'}",
        '--aptopt=APT::Install-Recommends "false"',
        "--dpkgopt=path-exclude=/usr/share/doc/*",
        "--dpkgopt=path-exclude=/usr/share/man/*",
        "--dpkgopt=path-exclude=/usr/share/locale/*",
        f"--include={','.join(recipe.packages)}",
        f"--setup-hook={(recipe.files / 'sources.sh').read_text()}",
        f"--customize-hook=tar-in {shlex.quote(str(own))} /",
        f"--customize-hook={(recipe.files / 'customize.sh').read_text()}",
        recipe.suite,
        str(target),
    ]
    if root:
        # A process namespace of its own: whatever the build started is gone when it is, however it ended.
        _run(["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", *command], progress)
        return []
    _run(command, progress)
    # Files of root and of services keep their owners in fakeroot's records, for as long as the tree is read.
    record = ["fakeroot", "-s", str(work / "owners"), "--"]
    tree.mkdir()
    _run([*record, "tar", "--extract", "--file", str(target), "--directory", str(tree)], progress)
    return ["fakeroot", "-i", str(work / "owners"), "--"]


def _as_root(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """The member as root's, with a plain mode, however the checkout was made."""
    member.uid = member.gid = member.mtime = 0
    member.uname = member.gname = "root"
    member.mode = 0o755 if member.isdir() else 0o644
    return member


def _run(command: list[str], progress: Progress) -> None:
    said: list[str] = []
    with subprocess.Popen(
        # Killed with this process, however that ends.
        ["setpriv", "--pdeathsig", "KILL", *command],
        env={**os.environ, "PATH": tool_path()},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        for line in process.stdout or ():
            said.append(line.rstrip())
            # The hook's whole text is told when it starts.
            if line.startswith("I: ") and len(line) < 100:
                progress(line[3:].strip())
    if process.returncode != 0:
        tail = "\n".join(said[-15:])
        wrapped = (word for word in command if word in ("mmdebstrap", "tar", "mkfs.ext4"))
        program = next(wrapped, command[0])
        raise ImageError(f"building the node image failed: {program} ended with status {process.returncode}:\n{tail}")
