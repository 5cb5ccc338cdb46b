"""The catalogue: which environments and which backups exist."""
