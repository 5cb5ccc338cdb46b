"""The stand-in for the `tls` plugin (pulumi-tls 5)."""
