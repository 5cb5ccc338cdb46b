"""The stand-in for the `command` plugin (pulumi-command 1.2)."""
