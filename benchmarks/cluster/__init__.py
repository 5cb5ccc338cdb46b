"""A cluster: how soon it is formed, how fast restic is on it, what the loss and the replacement of a node cost."""
