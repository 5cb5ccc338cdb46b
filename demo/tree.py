"""A made-up site on an application machine, by the script ``site.py`` that runs there."""

from dataclasses import dataclass
from pathlib import Path

from demo.shell import Shell

_SCRIPT = Path(__file__).with_name("site.py")

#: Enough for the work to be that of a real site, few enough for an emulated machine.
FILES = 2000


@dataclass(frozen=True)
class Tree:
    """The site below ``path``; another ``seed`` is a site with other contents, so no repository knows them yet.

    files: about how many it has, 10 kB each.
    """

    machine: Shell
    path: str
    seed: int
    files: int = FILES

    def make(self) -> str:
        """Makes it afresh; gives its digest."""
        self.machine.run(f"rm -rf {self.path}")
        return self._script(f"--seed {self.seed} --files {self.files}")

    def change(self) -> str:
        """Alters it as a day of work would; gives its digest."""
        return self._script(f"--change --seed {self.seed + 1}")

    def digest(self) -> str:
        """One hash over names, modes, times and contents."""
        return self._script("--digest")

    def empty(self) -> None:
        """Leaves an empty directory."""
        self.machine.run(f"rm -rf {self.path} && mkdir {self.path}")

    def _script(self, arguments: str) -> str:
        self.machine.put("/srv/site.py", _SCRIPT.read_text(encoding="utf-8"))
        return self.machine.run(f"python3 /srv/site.py {arguments} {self.path}").strip()
