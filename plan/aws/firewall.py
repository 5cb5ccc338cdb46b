"""Who may reach the nodes, and what they may reach, as rules of a security group."""

from dataclasses import dataclass

from plan.settings import Settings

SSH, NFS = 22, 2049
EVERYWHERE = "0.0.0.0/0"


@dataclass(frozen=True)
class Rule:
    """One rule. ``name`` is unique among the rules and stays the same for as long as the rule means the same.

    cidr: the other side, or None for the members of the same security group.
    protocol: tcp, udp, or "-1" for everything (then without ports).
    """

    name: str
    cidr: str | None
    protocol: str
    port: int | None
    description: str


#: What a node asks of the world: packages and their signatures, names, the time. Names and time of Amazon's own
#: servers pass every security group; other networks may have servers of their own.
_OUTWARD = (
    ("https", "tcp", 443, "Package mirrors"),
    ("http", "tcp", 80, "Package mirrors"),
    ("dns-tcp", "tcp", 53, "Names"),
    ("dns-udp", "udp", 53, "Names"),
    ("ntp", "udp", 123, "Time"),
)


def inward(settings: Settings) -> list[Rule]:
    """What may come in: SSH from the administrators, NFS from the clients, everything between members of a cluster."""
    clients = sorted({client for environment in settings.environments.values() for client in environment.clients})
    rules = [Rule(f"ssh-{cidr}", cidr, "tcp", SSH, "SSH of the administrators") for cidr in settings.admin_cidrs]
    rules += [Rule(f"nfs-{client}", client, "tcp", NFS, "NFS of the environments' clients") for client in clients]
    return _range(rules) + _members(settings, "Between the nodes of the cluster")


def outward(settings: Settings) -> list[Rule]:
    """What may go out."""
    rules = [Rule(name, EVERYWHERE, protocol, port, text) for name, protocol, port, text in _OUTWARD]
    return rules + _members(settings, "Between the nodes of the cluster")


def _members(settings: Settings, description: str) -> list[Rule]:
    return [Rule("members", None, "-1", None, description)] if settings.node_count > 1 else []


def _range(rules: list[Rule]) -> list[Rule]:
    """Single addresses as the ranges of one address that EC2 asks for."""
    return [
        rule if rule.cidr is None or "/" in rule.cidr else Rule(**{**vars(rule), "cidr": f"{rule.cidr}/32"})
        for rule in rules
    ]
