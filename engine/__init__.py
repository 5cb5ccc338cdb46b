"""The engine kit: a Pulumi engine on this machine, and stand-ins for plugins whose host cannot be reached."""
