"""Measurements against named baselines of the same run; `make bench` runs them."""
