"""The storage as Pulumi resources: machines of a platform, storage nodes, and the environments that they serve."""
