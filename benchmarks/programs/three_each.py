"""The baseline: each environment is a component, a password and a command of its own, as one writes it first."""

import json
import os

import pulumi
import pulumi_random as random
from pulumi_command import remote

told = json.loads(os.environ["BENCHMARK"])
connection = remote.ConnectionArgs(**told["connection"])
for number in range(told["environments"]):
    name = f"env{number:04}"
    component = pulumi.ComponentResource("benchmark:index:Environment", name)
    child = pulumi.ResourceOptions(parent=component)
    password = random.RandomPassword(f"{name}-password", length=40, special=False, opts=child)
    remote.Command(
        f"{name}-repository",
        connection=connection,
        create="storage-node environment",
        stdin=pulumi.Output.json_dumps({"name": name, "password": password.result, "clients": ["10.1.0.0/16"]}),
        logging=remote.Logging.NONE,
        opts=child,
    )
