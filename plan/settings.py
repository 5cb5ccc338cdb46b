"""The settings of one stack as a typed, frozen model; every problem in them is found in one pass."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError
from pydantic.alias_generators import to_camel

from plan import platforms, rules
from plan.bastion import Bastion, OptionalBastion
from plan.environments import Environment, EnvironmentName, NetworkText
from plan.hosts import Host
from plan.layout import Layout, Nodes, Shape, Topology
from plan.problems import SettingsError

#: Namespace of the settings in Pulumi's configuration.
NAMESPACE = "backup-storage"

#: restic's packs, a rotation's head room and the file system's own needs do not fit into less.
MIN_SIZE_GB = 5


class Settings(BaseModel):
    """What one stack is to be. Field descriptions are in ``Pulumi.yaml``, the table in the README."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, alias_generator=to_camel)

    platform: Literal["local", "aws", "hosts"] = "local"
    region: str = Field(default="local", pattern=r"^[a-z0-9][a-z0-9-]*$")
    topology: Topology = "standalone"
    nodes: Nodes = 3
    layout: Layout = "replicated"
    size_gb: int = Field(default=10, ge=MIN_SIZE_GB)
    cpus: int = Field(default=1, ge=1, le=64)
    memory_mb: int = Field(default=1024, ge=768)
    instance_type: str = Field(default="t3.small", pattern=r"^[a-z0-9-]+\.[a-z0-9-]+$")
    network_cidr: NetworkText = platforms.NETWORK
    subnets: tuple[str, ...] = Field(default=(), strict=False)
    private_addresses: tuple[NetworkText, ...] = Field(default=(), strict=False)
    bastion: OptionalBastion = None
    hosts: tuple[Host, ...] = Field(default=(), strict=False)
    # Pulumi.yaml has to give a default, which can only be an empty text.
    ssh_private_key: Annotated[SecretStr | None, BeforeValidator(lambda value: value or None)] = None
    environments: dict[EnvironmentName, Environment] = Field(default_factory=dict)
    admin_cidrs: tuple[NetworkText, ...] = Field(default=(), strict=False)
    allow_public_clients: bool = False
    application_regions: tuple[str, ...] = Field(default=(), strict=False)
    protect: bool = True
    display_name: str = "Backup storage"
    group: str = "Backup storage nodes"
    project_scope: str = Field(default="backup", pattern=r"^[A-Za-z0-9][A-Za-z0-9-]*$")

    @property
    def shape(self) -> Shape:
        """Where the data is to lie."""
        return Shape.of(self.topology, self.nodes, self.layout)

    @property
    def node_count(self) -> int:
        """How many storage nodes there are."""
        return self.shape.nodes

    def warnings(self) -> list[str]:
        """What is allowed but unwise, one sentence each."""
        found = []
        if self.region in self.application_regions:
            found.append(
                f"The storage is in {self.region}, where applications run too: one disaster would take the "
                "applications and their backups together. Choose another region for the storage."
            )
        if not self.environments:
            found.append(
                "No environments are set, so the storage will serve nobody. Add one with "
                "`pulumi config set --path 'backup-storage:environments.shop.clients[0]' 10.1.2.3`."
            )
        return found + platforms.warnings(self)


def load(raw: Mapping[str, Any]) -> Settings:
    """The settings out of ``raw`` (camelCase keys, JSON-like values).

    Raises SettingsError with all problems at once: those of single values, and those between values wherever
    the values concerned are sound by themselves.
    """
    try:
        settings = Settings.model_validate(dict(raw))
        problems, faulty = [], set()
    except ValidationError as error:
        problems = [_sentence(details) for details in error.errors()]
        faulty = {str(details["loc"][0]) for details in error.errors()}
        settings = Settings.model_validate({key: value for key, value in raw.items() if key not in faulty})
    problems += rules.of_a_cluster(settings.topology, settings.memory_mb)
    problems += rules.between_environments(settings.environments, allow_public=settings.allow_public_clients)
    problems += platforms.problems(settings, faulty)
    if problems:
        raise SettingsError(problems)
    return settings


#: Settings that are set with `pulumi config set --secret` and never shown.
SECRETS = tuple(field.alias for field in Settings.model_fields.values() if field.annotation == SecretStr | None)

#: The settings that have settings of their own, and how these are spoken of.
_PARTS: dict[str, tuple[str, type[BaseModel]]] = {
    "environments": ("of an environment ", Environment),
    "bastion": ("of a bastion ", Bastion),
    "hosts": ("of a host ", Host),
}


def _sentence(details: Any) -> str:
    """One finding of pydantic in the words of a person who edits the stack's settings file."""
    top, *below = details["loc"]
    # pydantic's word for a name that is wrong itself; the name stands before it.
    below = [part for part in below if part != "[key]"]
    where = f"{NAMESPACE}:{top}" + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in below)
    kind, context = details["type"], details.get("ctx", {})
    if kind == "extra_forbidden":
        whose, model = _PARTS.get(str(top), ("", Settings)) if below else ("", Settings)
        valid = ", ".join(sorted(field.alias or name for name, field in model.model_fields.items()))
        return f"{where} is no setting; the settings {whose}are {valid}."
    if kind == "missing":
        return f"{where} is missing; it has to be set."
    if kind == "value_error":
        return f"{where}: {context['error']}."
    if kind == "greater_than_equal":
        return f"{where} is {details['input']}; it must be {context['ge']} or more."
    if kind == "less_than_equal":
        return f"{where} is {details['input']}; it must be {context['le']} or less."
    if kind == "literal_error":
        return f"{where} is {details['input']!r}; it must be {context['expected']}."
    if kind == "string_pattern_mismatch":
        return f"{where} is {details['input']!r}; only letters, digits and '-' are allowed, lower case for a region."
    if top in SECRETS:
        return f"{where} must be text; what it is set to is not shown."
    expected = details["msg"].removeprefix("Input should be ").removeprefix("a valid ")
    return f"{where} is {details['input']!r}; it must be {expected}."
