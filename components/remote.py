"""The one place where remote work is made: copies and idempotent node commands with their rules.

A node command is ``storage-node <step>`` with its specification as JSON on stdin. ``create`` and ``update`` are the
same line, so a changed specification runs the step again in place; an unchanged one opens no connection.
"""

import json
from collections.abc import Mapping
from typing import Any

import pulumi
from pulumi_command import remote

from components.node_program import NodeProgram
from components.platforms.base import Machine

#: Where a node program arrives before it has installed itself: in the home of whoever logs in, who may be no root and
#: can write nowhere else that others cannot.
INCOMING = ".storage-node/incoming.pyz"

INSTALLED = "/usr/local/sbin/storage-node"

#: The provider's default gives up after about 11 s. A machine that boots under emulation on a busy computer needs
#: minutes; each failed dial waits up to 15 s before the next.
DIAL_ATTEMPTS = 60


def connection(
    *,
    host: pulumi.Input[str],
    port: pulumi.Input[int],
    user: str,
    private_key: pulumi.Input[str],
    host_key: pulumi.Input[str],
    proxy: remote.ProxyConnectionArgs | None = None,
) -> remote.ConnectionArgs:
    """An SSH connection with its host key pinned: without one the provider accepts any host."""
    return remote.ConnectionArgs(
        host=host,
        port=port,
        user=user,
        private_key=pulumi.Output.secret(private_key),
        host_key=host_key,
        dial_error_limit=DIAL_ATTEMPTS,
        proxy=proxy,
    )


def ship(name: str, machine: Machine, program: NodeProgram, opts: pulumi.ResourceOptions) -> pulumi.Resource:
    """Copies the node program to a machine, again when it changed, or the machine or the user is another."""
    return remote.CopyToRemote(
        name,
        connection=machine.connection,
        source=pulumi.FileAsset(str(program.path)),
        remote_path=INCOMING,
        triggers=[machine.instance, machine.user],
        opts=pulumi.ResourceOptions.merge(
            opts, pulumi.ResourceOptions(deleted_with=machine.resource, depends_on=[machine.resource])
        ),
    )


def install(
    name: str,
    machine: Machine,
    step: str,
    specification: Mapping[str, Any],
    opts: pulumi.ResourceOptions,
    *,
    secret: bool,
) -> remote.Command:
    """Runs a step by the program as it was shipped; the step that installs it.

    ``secret`` says whether the specification holds secrets; what the step prints holds none in any case.
    """
    return _run(name, machine, f"python3 -IS {INCOMING} {step}", specification, opts, secret=secret)


def run(
    name: str,
    machine: Machine,
    step: str,
    specification: Mapping[str, Any],
    opts: pulumi.ResourceOptions,
    *,
    secret: bool,
) -> remote.Command:
    """Runs a step by the installed program."""
    return _run(name, machine, f"{INSTALLED} {step}", specification, opts, secret=secret)


def _run(
    name: str,
    machine: Machine,
    line: str,
    specification: Mapping[str, Any],
    opts: pulumi.ResourceOptions,
    *,
    secret: bool,
) -> remote.Command:
    stdin: pulumi.Input[str] = pulumi.Output.json_dumps({**specification, "instance": machine.instance}, sort_keys=True)
    return remote.Command(
        name,
        connection=machine.connection,
        create=f"{machine.elevate}{line}",
        update=f"{machine.elevate}{line}",
        stdin=pulumi.Output.secret(stdin) if secret else stdin,
        logging=remote.Logging.NONE if secret else remote.Logging.STDERR,
        add_previous_output_in_env=False,
        opts=pulumi.ResourceOptions.merge(
            opts,
            pulumi.ResourceOptions(
                deleted_with=machine.resource,
                additional_secret_outputs=["stdout", "stderr"] if secret else [],
            ),
        ),
    )


def answer(command: remote.Command) -> pulumi.Output[dict[str, Any]]:
    """What a step printed: one JSON object."""
    return command.stdout.apply(lambda text: dict[str, Any](json.loads(text)))
