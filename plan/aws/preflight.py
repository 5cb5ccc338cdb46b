"""What keeps a storage from being made in a region: each rule from settings and facts to sentences."""

from collections.abc import Callable
from ipaddress import IPv4Network

from plan.aws.facts import Facts, Quota
from plan.aws.layout import is_usable, place, zones_needed
from plan.layout import node_name
from plan.settings import Settings

#: Glusterd, a brick, a client and restic together; less than this and the kernel ends one of them.
MIN_MEMORY_MB = 1900

Rule = Callable[[Settings, Facts], list[str]]


def problems(settings: Settings, facts: Facts) -> list[str]:
    """Everything that is in the way, one sentence each."""
    return [text for rule in RULES for text in rule(settings, facts)]


def permissions(settings: Settings, facts: Facts) -> list[str]:
    """What the credentials may not do though it is needed."""
    if not facts.denied:
        return []
    actions = ", ".join(facts.denied)
    return [
        f"These credentials lack permissions in {facts.region}: {actions}. Grant them; docs/aws-policy.json is the "
        "policy that a stack needs."
    ]


def instance_type(settings: Settings, facts: Facts) -> list[str]:
    """The type exists here, shows its volumes by their ids, and has the memory that a node needs."""
    wanted, found = settings.instance_type, facts.instance_type
    where = "backup-storage:instanceType"
    if found is None:
        if facts.similar_types is None:
            return []
        similar = f"; similar ones are {', '.join(facts.similar_types)}" if facts.similar_types else ""
        return [f"{where} is {wanted}, which {facts.region} does not offer{similar}."]
    sentences = []
    if not found.nitro:
        sentences.append(
            f"{where} is {wanted}, which is not built on the Nitro system, so its data volume has no stable name; "
            "choose a later generation, such as t3 or m7i."
        )
    if found.memory_mb < MIN_MEMORY_MB:
        sentences.append(f"{where} is {wanted} with {found.memory_mb} MiB of memory; a node needs 2 GiB.")
    return sentences


def zones(settings: Settings, facts: Facts) -> list[str]:
    """Enough zones offer the type that the loss of one leaves a cluster its majority."""
    if settings.subnets or facts.instance_type is None or facts.zones is None:
        return []
    usable = sorted(set(facts.zones) & set(facts.instance_type.zones))
    needed = zones_needed(settings.node_count)
    if len(usable) >= needed:
        return []
    listed = ", ".join(usable) or "none"
    alone = " A standalone storage would fit." if needed > 1 and usable else ""
    return [
        f"{settings.node_count} nodes need {needed} availability zone{'s' if needed > 1 else ''} that offer "
        f"{settings.instance_type}; {facts.region} has {len(usable)} ({listed}). Choose another instanceType or "
        f"region.{alone}"
    ]


def image(settings: Settings, facts: Facts) -> list[str]:
    """There is a Debian image to start new nodes from."""
    if facts.image or facts.image_sought is None or not _new_nodes(settings, facts):
        return []
    return [
        f"{facts.region} has no image {facts.image_sought} of Debian's account; nodes are made from Debian 13. "
        "Choose another region, or an instanceType of another architecture."
    ]


def subnets(settings: Settings, facts: Facts) -> list[str]:
    """The user's subnets are here, in one network, and in enough zones."""
    if facts.subnets is None:
        return []
    where = "backup-storage:subnets"
    missing = [name for name in settings.subnets if name not in facts.subnets]
    if missing:
        return [
            f"{where} lists {name}, which {facts.region} does not have: a subnet belongs to one region and account."
            for name in missing
        ]
    found = [facts.subnets[name] for name in settings.subnets]
    sentences = []
    if len({subnet.network for subnet in found}) > 1:
        listed = ", ".join(f"{subnet.id} in {subnet.network}" for subnet in found)
        sentences.append(f"{where} lists subnets of several networks ({listed}); nodes need one network.")
    inhabited = {found[place(index, len(found))].zone for index in range(1, settings.node_count + 1)}
    needed = zones_needed(settings.node_count)
    if len(inhabited) < needed:
        sentences.append(
            f"{where} puts {settings.node_count} nodes into {len(inhabited)} availability zone(s) "
            f"({', '.join(sorted(inhabited))}); they need {needed}, so that the loss of one leaves a majority."
        )
    if facts.instance_type is not None:
        without = sorted(inhabited - set(facts.instance_type.zones))
        sentences += [f"{where} uses {zone}, which does not offer {settings.instance_type}." for zone in without]
    return sentences


def addresses(settings: Settings, facts: Facts) -> list[str]:
    """Each node's address belongs to its subnet and to nobody else."""
    sentences = []
    found = [facts.subnets[name] for name in settings.subnets if name in facts.subnets] if facts.subnets else []
    if len(found) != len(settings.subnets):
        return []
    for index, wanted in enumerate(settings.private_addresses, start=1):
        subnet = found[place(index, len(found))]
        where = f"backup-storage:privateAddresses gives {node_name(index)} {wanted}"
        if not is_usable(IPv4Network(subnet.cidr), wanted):
            sentences.append(
                f"{where}, which is no usable address of its subnet {subnet.id} ({subnet.cidr}; the first four and "
                "the last are EC2's own)."
            )
        elif wanted in facts.owners:
            sentences.append(f"{where}, which {facts.owners[wanted]} has already; choose a free one.")
    return sentences


def volumes(settings: Settings, facts: Facts) -> list[str]:
    """Data volumes that exist stay in their zones and never shrink."""
    sentences = []
    for index in range(1, settings.node_count + 1):
        volume = facts.volumes.get(node_name(index))
        if volume is None:
            continue
        if volume.size_gb > settings.size_gb:
            sentences.append(
                f"backup-storage:sizeGb is {settings.size_gb}, and the data volume of {node_name(index)} has "
                f"{volume.size_gb} GB: a volume only grows. Set {volume.size_gb} or more, or make a new stack and "
                "copy the data."
            )
        offered = facts.instance_type.zones if facts.instance_type else (volume.zone,)
        if volume.zone not in offered:
            sentences.append(
                f"backup-storage:instanceType is {settings.instance_type}, which {volume.zone} does not offer, and "
                f"the data volume of {node_name(index)} is there for good; choose a type that it offers."
            )
        planned = _planned_zone(settings, facts, index)
        if planned and planned != volume.zone:
            sentences.append(
                f"backup-storage:subnets would put {node_name(index)} into {planned}, and its data volume is in "
                f"{volume.zone}, which it cannot leave; keep the order of the subnets."
            )
    return sentences


def vcpu_quota(settings: Settings, facts: Facts) -> list[str]:
    """The new nodes fit into what the account may run."""
    if facts.vcpus is None or facts.instance_type is None:
        return []
    each = facts.instance_type.vcpus
    return _exceeded(facts, facts.vcpus, f"{settings.instance_type} node", len(_new_nodes(settings, facts)), each)


def storage_quota(settings: Settings, facts: Facts) -> list[str]:
    """The new and grown volumes fit into what the account may store."""
    if facts.storage is None:
        return []
    present = (facts.volumes.get(node_name(index)) for index in range(1, settings.node_count + 1))
    growth = [settings.size_gb - (volume.size_gb if volume else 0) for volume in present]
    growth = [more for more in growth if more > 0]
    return _exceeded(facts, facts.storage, "data volume", len(growth), sum(growth) / len(growth) if growth else 0)


def network_quota(settings: Settings, facts: Facts) -> list[str]:
    """One more network is allowed, where the stack makes one of its own."""
    if facts.networks is None or settings.subnets or facts.has_network:
        return []
    found = _exceeded(facts, facts.networks, "network of the stack's own", 1, 1)
    return [f"{text} Or name subnets of yours in backup-storage:subnets." for text in found]


RULES: tuple[Rule, ...] = (
    permissions,
    instance_type,
    zones,
    image,
    subnets,
    addresses,
    volumes,
    vcpu_quota,
    storage_quota,
    network_quota,
)


def _new_nodes(settings: Settings, facts: Facts) -> list[str]:
    """The nodes that would be made now."""
    names = [node_name(index) for index in range(1, settings.node_count + 1)]
    return [name for name in names if name not in facts.nodes]


def _planned_zone(settings: Settings, facts: Facts, index: int) -> str | None:
    """The zone that the user's subnets put a node into; the stack's own subnets never move."""
    if not settings.subnets or not facts.subnets:
        return None
    subnet = facts.subnets.get(settings.subnets[place(index, len(settings.subnets))])
    return subnet.zone if subnet else None


def _exceeded(facts: Facts, quota: Quota, what: str, count: int, each: float) -> list[str]:
    more = count * each
    if not more or quota.in_use + more <= quota.allowed:
        return []
    fits = ""
    if count > 1:
        verdict = "would fit" if quota.in_use + each <= quota.allowed else "would not fit either"
        fits = f" A standalone storage ({each:g} {quota.unit}) {verdict}."
    needing = f"1 {what} needs" if count == 1 else f"{count} {what}s need"
    return [
        f"The quota {quota.name!r} ({quota.code}) in {facts.region} allows {quota.allowed:g} {quota.unit}, "
        f"{quota.in_use:g} are in use, and {needing} {more:g} more. Ask AWS for a higher quota, or free some.{fits}"
    ]
