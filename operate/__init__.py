"""The operator's commands behind the Makefile: set-up, stacks, outputs, and what is asked of running nodes."""
