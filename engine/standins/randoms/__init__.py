"""The stand-in for the `random` plugin (pulumi-random 4)."""
