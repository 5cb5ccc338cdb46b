"""The floating address of a cluster: always on one living node, never on two."""
