"""The aws platform: EC2 instances in the region that the settings name."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws
import pulumi_tls as tls
from pulumi_command import remote

from components import remote as remote_work
from components.fixed import Fixed
from components.platforms.aws import access, first_contact, instance, network, preflight, user_data
from components.platforms.aws.network import Network
from components.platforms.base import Machine
from plan.aws.facts import Facts
from plan.bastion import Bastion
from plan.settings import Settings

_USER = "root"
_SSH = 22


@dataclass(frozen=True)
class _Shared:
    """What all nodes of the stack have in common."""

    opts: pulumi.ResourceOptions
    network: Network
    group: aws.ec2.SecurityGroup
    login: tls.PrivateKey
    key: aws.ec2.KeyPair


class AwsPlatform:
    """Machines in an AWS account. Credentials are found the way that AWS's own tools find them."""

    #: No address of a VPC moves from one machine to another by itself.
    floating_address = None

    def __init__(self, settings: Settings) -> None:
        self.admin_cidrs = settings.admin_cidrs
        self._settings = settings
        self._labels = {
            "displayName": settings.display_name,
            "group": settings.group,
            "projectScope": settings.project_scope,
            "project": pulumi.get_project(),
            "stack": pulumi.get_stack(),
        }
        self._facts: Facts | None = None
        self._made: _Shared | None = None

    def preflight(self) -> None:
        """Finds what would keep the storage from being made in this account and region. Raises SettingsError."""
        self._facts = preflight.check(self._settings, self._labels, makes=not pulumi.runtime.is_dry_run())
        for text in self._facts.unreadable:
            pulumi.log.warn(f"Not checked before the update: {text}.")

    def machine(self, name: str, index: int, opts: pulumi.ResourceOptions) -> Machine:
        """An instance with a volume that outlives it, in the zone and at the address that the index stands for."""
        facts, shared = self._known(), self._shared()
        bootstrap = tls.PrivateKey(f"{name}-bootstrap-key", algorithm="ECDSA", ecdsa_curve="P256", opts=opts)
        slot = shared.network.slot(index)
        address = network.address(self._settings, slot, index)
        made = instance.make(
            name,
            self._settings,
            slot,
            address,
            image=facts.nodes.get(name) or facts.image or "",
            key=shared.key,
            group=shared.group,
            user_data=bootstrap.private_key_openssh.apply(user_data.render),
            labels=self._labels,
            opts=pulumi.ResourceOptions.merge(opts, shared.opts),
        )
        here = self._reached_at(made.instance)
        host_key = first_contact.learn_host_key(
            f"{name}-host-key",
            made.instance.id,
            self._connection(here, shared.login, bootstrap.public_key_openssh.apply(str.strip)),
            pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(deleted_with=made.instance)),
        )
        return Machine(
            name=name,
            resource=made.instance,
            instance=pulumi.Output.format("{0}/{1}", made.instance.id, made.ready.id),
            connection=self._connection(here, shared.login, host_key),
            user=_USER,
            private_key=shared.login.private_key_openssh,
            address=here,
            ssh_port=pulumi.Output.from_input(_SSH),
            private_address=made.instance.private_ip,
            host_key=host_key,
            device=made.volume.id.apply(instance.device),
        )

    def _reached_at(self, made: aws.ec2.Instance) -> pulumi.Output[str]:
        """Where the operator's SSH goes: through the bastion, or to the public address where there is one."""
        both = pulumi.Output.all(made.public_ip, made.private_ip)
        inside = self._settings.bastion is not None
        return both.apply(lambda known: str(known[1] if inside or not known[0] else known[0]))

    def _connection(
        self, host: pulumi.Output[str], login: tls.PrivateKey, host_key: pulumi.Output[str]
    ) -> remote.ConnectionArgs:
        bastion = self._settings.bastion
        return remote_work.connection(
            host=host,
            port=_SSH,
            user=_USER,
            private_key=login.private_key_openssh,
            host_key=host_key,
            proxy=_proxy(bastion) if bastion else None,
        )

    def _known(self) -> Facts:
        if self._facts is None:
            raise RuntimeError("the preflight comes before the first machine")
        return self._facts

    def _shared(self) -> _Shared:
        """Registered with the first machine."""
        if self._made is None:
            settings, facts, labels = self._settings, self._known(), self._labels
            home = Fixed("home", {"platform": settings.platform, "region": settings.region})
            provider = aws.Provider("aws", region=settings.region, opts=pulumi.ResourceOptions(depends_on=[home]))
            opts = pulumi.ResourceOptions(provider=provider)
            place = (
                network.of_the_user(settings, facts)
                if settings.subnets
                else network.of_its_own(settings, facts, labels, opts)
            )
            login = tls.PrivateKey("login", algorithm="ED25519")
            key = aws.ec2.KeyPair(
                "login-key",
                key_name_prefix=f"backup-storage-{labels['stack']}-",
                public_key=login.public_key_openssh.apply(str.strip),
                tags=labels,
                opts=opts,
            )
            group = access.security_group(settings, place.id, labels, opts)
            self._made = _Shared(opts, place, group, login, key)
        return self._made


def _proxy(bastion: Bastion) -> remote.ProxyConnectionArgs:
    return remote.ProxyConnectionArgs(
        host=bastion.host,
        port=bastion.port,
        user=bastion.user,
        host_key=bastion.host_key,
        private_key=pulumi.Output.secret(bastion.private_key.get_secret_value()),
        dial_error_limit=remote_work.DIAL_ATTEMPTS,
    )
