"""An application that reads what it has all the time, while something is brought upon its storage."""

from collections.abc import Iterator
from contextlib import contextmanager

from demo.addon import Addon

# Goes round many small files, and notes each that it may not read.
_READER = """\
mkdir -p /opt/backup/shop/small && cd /opt/backup/shop/small || exit
for i in $(seq 60); do echo $i >$i && chmod 400 $i; done
while true; do
    for i in $(seq 60); do
        { read -r text <$i && [ "$text" = $i ]; } 2>/dev/null || echo $i >>/run/reader/refused
    done
    echo round >>/run/reader/rounds
done
"""


@contextmanager
def always_readable(addon: Addon) -> Iterator[None]:
    """What the application has may be read by it at any moment of the block."""
    addon.machine.put("/run/reader/reader.sh", _READER)
    addon.machine.run("touch /run/reader/refused && systemd-run -q --unit reader bash /run/reader/reader.sh")
    try:
        yield
    finally:
        addon.machine.run("systemctl stop reader && rm -r /opt/backup/shop/small")
    assert addon.machine.run("cat /run/reader/refused") == ""
    assert int(addon.machine.run("wc -l </run/reader/rounds")) > 5
