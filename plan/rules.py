"""Rules that tie several settings together, each a function from sound values to sentences about what is wrong."""

from collections.abc import Mapping

from plan.environments import Environment, is_public

#: GlusterFS, its client, its self-healing and the NFS server of a node, and room for restic beside them.
CLUSTER_MEMORY_MB = 1024


def of_a_cluster(topology: str, memory_mb: int) -> list[str]:
    """What a cluster needs that a standalone node does not."""
    if topology == "cluster" and memory_mb < CLUSTER_MEMORY_MB:
        return [f"backup-storage:memoryMb is {memory_mb}; a cluster's nodes need {CLUSTER_MEMORY_MB} or more."]
    return []


def between_environments(environments: Mapping[str, Environment], *, allow_public: bool) -> list[str]:
    """What is wrong with who reads whom, and from where."""
    problems = []
    for name, environment in environments.items():
        where = f"backup-storage:environments.{name}"
        for reader in environment.readers:
            if reader == name:
                problems.append(f"{where}.readers names {name} itself; an environment always reads its own backups.")
            elif reader not in environments:
                known = ", ".join(sorted(environments))
                problems.append(f"{where}.readers names {reader}, which is no environment of this stack ({known}).")
        for field, values in (("readers", environment.readers), ("clients", environment.clients)):
            for value in sorted({value for value in values if values.count(value) > 1}):
                problems.append(f"{where}.{field} lists {value} more than once; list it once.")
        for client in environment.clients:
            if is_public(client) and not allow_public:
                problems.append(
                    f"{where}.clients lists {client}, which is on the internet, and NFS travels unencrypted; use a "
                    "private address through peering or a VPN, or insist with backup-storage:allowPublicClients."
                )
    return problems
