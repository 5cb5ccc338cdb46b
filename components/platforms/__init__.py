"""The platforms: where machines come from."""
