"""`storage-node catalogue one [ENV]` and `all`: what getBackups.sh and getBackupsAllEnvs.sh print."""

from __future__ import annotations

from storage_node.catalogue import contract
from storage_node.catalogue.environments import Catalogue
from storage_node.paths import Paths


def run(arguments: list[str], paths: Paths) -> int:
    """Prints the answer and returns its result as exit status."""
    catalogue = Catalogue(paths)
    scope, asked = arguments[0] if arguments else "", arguments[1:]
    if scope == "all" and not asked:
        answer = contract.everything(catalogue)
    elif scope == "one" and not asked:
        answer = contract.environments(catalogue)
    else:
        answer = contract.one(catalogue, " ".join(asked))
    print(contract.text(answer))
    return int(answer["result"])
