"""The node image: its name, and that only a finished build is taken for one."""

import lzma
import shutil
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from components.qemu import host, image, initrd
from components.qemu.recipe import FILES, Recipe

pytestmark = pytest.mark.local


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "a cache"))
    return image.cache_directory()


def quick_build(recipe: Recipe, work: Path, progress: image.Progress) -> Path:
    made = work / "image"
    made.mkdir()
    (made / "root.qcow2").write_text(recipe.suite)
    return made


def test_the_name_follows_from_everything_that_the_image_is_made_from(tmp_path: Path) -> None:
    files = tmp_path / "recipe"
    shutil.copytree(FILES, files)
    same = replace(Recipe(), files=files)
    assert same.digest == Recipe().digest
    names = {same.digest, replace(same, suite="forky").digest, replace(same, packages=("restic",)).digest}
    names.add(replace(same, root_size_gb=17).digest)
    (files / "customize.sh").write_text("true\n")
    names.add(same.digest)
    (files / "customize.sh").rename(files / "other.sh")
    names.add(same.digest)
    assert len(names) == 6


def test_an_image_is_built_once(monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[str] = []

    def build(recipe: Recipe, work: Path, progress: image.Progress) -> Path:
        built.append(recipe.digest)
        return quick_build(recipe, work, progress)

    monkeypatch.setattr(image, "_build", build)
    assert image.find() is None
    first = image.ensure(lambda _: None)
    assert image.ensure(lambda _: None) == first == image.find()
    assert len(built) == 1


def test_callers_at_the_same_time_get_one_build(monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[str] = []
    begun, go_on = threading.Event(), threading.Event()

    def build(recipe: Recipe, work: Path, progress: image.Progress) -> Path:
        built.append(recipe.digest)
        begun.set()
        assert go_on.wait(30)
        return quick_build(recipe, work, progress)

    monkeypatch.setattr(image, "_build", build)
    said: list[str] = []
    waiting = threading.Event()

    def progress(line: str) -> None:
        said.append(line)
        waiting.set()

    callers = [threading.Thread(target=image.ensure, args=(progress,)) for _ in range(2)]
    callers[0].start()
    assert begun.wait(30)
    callers[1].start()
    assert waiting.wait(30)
    go_on.set()
    for caller in callers:
        caller.join(30)
    assert said == ["another build of the node image is under way: waiting for it"]
    assert len(built) == 1


def test_what_an_interrupted_build_left_is_no_image_and_is_cleared(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    leftover = cache / "building-x" / "image"
    leftover.mkdir(parents=True)
    (leftover / "root.qcow2").write_text("half")
    assert image.find() is None
    monkeypatch.setattr(image, "_build", quick_build)
    image.ensure(lambda _: None)
    assert sorted(path.name for path in cache.iterdir()) == sorted([Recipe().digest, "build.lock"])


def test_a_build_that_fails_leaves_nothing(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image, "_tree", lambda *_: image._run(["sh", "-c", "echo 'E: no network'; exit 25"], print))
    with pytest.raises(image.ImageError, match="sh ended with status 25:\nE: no network"):
        image.ensure(lambda _: None)
    assert [path.name for path in cache.iterdir()] == ["build.lock"]


def test_the_first_file_system_is_a_readable_archive(tmp_path: Path) -> None:
    for name in initrd.PROGRAMS:
        program = tmp_path / "usr/lib/klibc/bin" / name
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_bytes(b"program")
    (tmp_path / "usr/lib/klibc-abc.so").write_bytes(b"library")
    module = tmp_path / "usr/lib/modules/6/kernel/drivers/block/virtio_blk.ko.xz"
    module.parent.mkdir(parents=True)
    module.write_bytes(lzma.compress(b"module"))
    archive = initrd.build(tmp_path)
    names: list[str] = []
    offset = 0
    while "TRAILER!!!" not in names:
        header = archive[offset : offset + 110]
        assert header[:6] == b"070701"
        size, length = int(header[54:62], 16), int(header[94:102], 16)
        name = archive[offset + 110 : offset + 110 + length - 1].decode()
        body = (offset + 110 + length + 3) // 4 * 4
        if name == "virtio_blk.ko":
            assert archive[body : body + size] == b"module"
        names.append(name)
        offset = (body + size + 3) // 4 * 4
    assert {"init", "bin/sh", "usr/lib/klibc-abc.so", "dev", "root"} <= set(names)


def test_a_host_without_tools_is_told_the_one_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "_present", lambda tool: tool not in ("qemu-img", "mmdebstrap"))
    monkeypatch.setattr(host, "_privilege", lambda: None)
    with pytest.raises(host.HostError) as failure:
        host.setup(print)
    command = "sudo apt-get update && sudo apt-get install -y --no-install-recommends mmdebstrap qemu-utils"
    assert str(failure.value).endswith(f"Run: {command}")


def test_a_host_with_an_image_needs_no_build_tools(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "_present", lambda tool: tool != "mmdebstrap")
    assert host.missing_packages() == ["mmdebstrap"]
    (cache / Recipe().digest).mkdir(parents=True)
    assert host.missing_packages() == []
