"""The first contact with a fresh instance: waits for its first boot to be over, and learns its SSH host key.

An instance makes its host key itself, so the key's private half never leaves it. What user-data hands over is another
host key, of another type, by which this one connection knows that it talks to the right machine. Someone who can read
the instance's user-data *and* sit between the operator and the machine at that moment could pass for it; once the
node's own key is in the state, what is in the user-data opens nothing.
"""

import pulumi
from pulumi_command import remote

from components.platforms.aws.user_data import HOST_KEY
from plan.packages import NODE_PACKAGES

#: cloud-init ends with 0 (all went well), 2 (something was not to its taste) or 1 (failed). What counts is whether the
#: packages are there: a mirror that did not answer shows in nothing else.
_SCRIPT = f"""\
cloud-init status --wait >/dev/null
absent=$(for name in {" ".join(NODE_PACKAGES)}; do
  [ "$(dpkg-query -W -f '${{db:Status-Status}}' "$name" 2>/dev/null)" = installed ] || printf ' %s' "$name"
done)
if [ -n "$absent" ]; then
  echo "The first boot did not install$absent; can this machine reach Debian's package mirror? cloud-init says:" >&2
  cloud-init status --long >&2
  tail -n 20 /var/log/cloud-init-output.log >&2
  exit 1
fi
cut -d ' ' -f 1,2 {HOST_KEY}.pub
"""


def learn_host_key(
    name: str, instance: pulumi.Input[str], connection: remote.ConnectionArgs, opts: pulumi.ResourceOptions
) -> pulumi.Output[str]:
    """The SSH host key of an instance, one line; asked again when another instance takes its place."""
    command = remote.Command(
        name,
        connection=connection,
        create=_SCRIPT,
        # Read by nobody: a different instance is a different input, and so asked.
        stdin=instance,
        logging=remote.Logging.STDERR,
        add_previous_output_in_env=False,
        opts=opts,
    )
    return command.stdout.apply(str.strip)
