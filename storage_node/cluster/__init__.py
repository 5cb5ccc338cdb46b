"""What a node does as a member of a cluster: GlusterFS, its volume at /data, NFS on it, and the address that moves."""
