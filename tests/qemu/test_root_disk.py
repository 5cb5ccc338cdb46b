"""The stack keeps the node image that its machines were made from."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from components.qemu import root_disk
from components.qemu.image import Image
from components.qemu.layout import StackDirectory

pytestmark = pytest.mark.local


def test_machines_that_are_made_side_by_side_adopt_one_image(tmp_path: Path) -> None:
    made = tmp_path / "cache/0123456789abcdef"
    made.mkdir(parents=True)
    for number in range(200):
        (made / f"part-{number}").write_text("content")
    stack = StackDirectory(tmp_path / "stack")
    with ThreadPoolExecutor(max_workers=8) as pool:
        adopted = set(pool.map(lambda _: root_disk.adopt(stack, Image(made)), range(8)))
    assert adopted == {made.name}
    assert [path.name for path in stack.images.iterdir()] == [made.name]
    assert len(list((stack.images / made.name).iterdir())) == 200
