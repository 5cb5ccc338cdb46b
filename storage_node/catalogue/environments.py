"""The node's environments and their snapshots.

The usual call finds everything as it was: then nothing is read but directories and the cache, and nothing is imported
that only reading needs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from storage_node import passwords
from storage_node.catalogue import cache, listing
from storage_node.catalogue.cache import Remembered
from storage_node.errors import NodeError
from storage_node.paths import Paths
from storage_node.restic import files

if TYPE_CHECKING:
    from storage_node.catalogue.snapshot import Snapshot
    from storage_node.restic.crypto import Key


class Contents:
    """What a repository holds: the backups' names, oldest first, and in words what of it cannot be read."""

    __slots__ = ("_known", "damaged")

    def __init__(self, known: Remembered, damaged: list[str]) -> None:
        self._known = known
        self.damaged = damaged

    @property
    def names(self) -> list[str]:
        """The names of the add-on's backups, oldest first."""
        return self._known.names

    def snapshots(self) -> list[Snapshot]:
        """Every snapshot, the add-on's or not, oldest first."""
        from storage_node.catalogue import reader  # noqa: PLC0415

        return reader.remembered(self._known)


class Catalogue:
    """Answers which environments there are, and what is in their repositories."""

    def __init__(self, paths: Paths) -> None:
        self._paths = paths
        # Texts, not Paths: joining a Path takes as long as reading what is there.
        self._data = str(paths.data)
        self._cache = str(cache.directory(paths))

    def names(self) -> list[str]:
        """The environments, sorted."""
        return passwords.active(self._paths)

    def read(self, environment: str) -> Contents:
        """One environment's backups; raises NodeError when its repository cannot be read as a whole."""
        known = cache.load(f"{self._cache}/{environment}")
        path = f"{self._data}/{environment}"
        try:
            with files.directory(path) as top:
                found = listing.take(top)
                if known.fits(found):
                    return Contents(known, [])
                from storage_node.catalogue import reader  # noqa: PLC0415

                damaged = reader.update(top, found, known, lambda: self._derive(environment))
        except files.UntrustworthyError as error:
            raise NodeError(f"The repository {path} cannot be read: {error}.") from None
        cache.store(self._paths, environment, known)
        return Contents(known, damaged)

    def read_all(self, environments: Iterable[str]) -> Iterator[tuple[str, Contents | NodeError]]:
        """Several environments' backups in the order asked for; one that cannot be read stops no other."""
        wanted = list(environments)
        present = cache.present(self._paths)
        self._derive_missing([name for name in wanted if name not in present])
        for name in wanted:
            yield name, self._try(name)

    def _derive_missing(self, environments: list[str]) -> None:
        """Reads those side by side whose keys have to be derived: that, Python does outside its interpreter lock."""
        if len(environments) < 2:
            return
        import os  # noqa: PLC0415
        from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415

        with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
            for _ in pool.map(self._try, environments):
                pass

    def _try(self, environment: str) -> Contents | NodeError:
        try:
            return self.read(environment)
        except NodeError as error:
            return error
        except OSError as error:
            return NodeError(f"The repository of {environment} cannot be read: {error.strerror}.")

    def _derive(self, environment: str) -> tuple[str, Key]:
        from storage_node.catalogue import derivation  # noqa: PLC0415
        from storage_node.restic.command import Repository  # noqa: PLC0415

        password = passwords.read(self._paths.passwords / environment)
        if password is None:
            raise NodeError(f"No password for {environment} is on this node; run `pulumi up`.")
        return derivation.master_key(Repository(self._paths.repository(environment), 0), password)
