# The interface of the project; `make` alone prints it. Every target takes STACK=<name>, dev where it is left out.
SHELL := /bin/bash
.ONESHELL:
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

STACK ?= dev
PYTHON := .venv/bin/python
export STACK

# Everything below runs in the environment that `. ./activate` gives to a person's shell.
IN_ENV := . ./activate

.PHONY: help setup stack up preview refresh outputs status ssh purge destroy demo test test-full bench check clean

help: ## Print this list
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo "Each takes STACK=<name> (default dev); test and bench take ONLY=<part>."

setup: ## Install what is missing: Python environment, engine, machine tools, node image
	@./setup

stack: setup
	@$(IN_ENV); python -m operate stack

up: stack ## Create or change the storage, end with it running
	@$(IN_ENV); pulumi up --stack "$$STACK" --yes --skip-preview $(ARGS)

preview: stack ## Show what `make up` would do
	@$(IN_ENV); pulumi preview --stack "$$STACK" --diff $(ARGS)

refresh: stack ## Look at the real machines and disks, and take what is seen into the state
	@$(IN_ENV); pulumi refresh --stack "$$STACK" --yes $(ARGS)

outputs: stack ## Print the add-on's outputs, with ENV=<environment> the part that its add-on may see (holds secrets)
	@$(IN_ENV); python -m operate outputs $(if $(ENV),"$(ENV)")

status: stack ## Show the state of every node, with JSON=1 for programs
	@$(IN_ENV); python -m operate status $(if $(JSON),--json)

ssh: stack ## Open a shell on NODE=<node>, or run CMD="..." there
	@$(IN_ENV); python -m operate ssh $(if $(NODE),--node "$(NODE)") $(if $(CMD),-- $(CMD))

purge: stack ## Delete the kept backups of ENV=<removed environment>; CONFIRM=<the same> does it
	@$(IN_ENV); python -m operate purge "$(ENV)" $(if $(CONFIRM),--confirm "$(CONFIRM)")

destroy: stack ## Remove the stack's machines, disks and passwords (protected ones are refused)
	@$(IN_ENV); pulumi destroy --stack "$$STACK" --yes --skip-preview $(ARGS)

demo: stack ## Run the add-on's whole flow against the running storage, on an application machine of its own
	@$(IN_ENV); python -m demo

check: setup
	@$(IN_ENV)
	ruff check .
	ruff format --check .
	mypy
	lint-imports

test: export STACK :=
test: check ## Run all that is quick and the core paths on real machines
	@$(IN_ENV); pytest -m "not long $(if $(ONLY),and $(ONLY))" $(ARGS)

test-full: export STACK :=
test-full: check ## Run everything: every fault, every size
	@$(IN_ENV); pytest $(if $(ONLY),-m "$(ONLY)") $(ARGS)

bench: export STACK :=
bench: setup ## Measure, print a line a figure, and write benchmarks/results.json
	@$(IN_ENV); python -m benchmarks $(ONLY)
