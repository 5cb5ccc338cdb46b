# The interface of the project; `make` alone prints it. Every target takes STACK=<name>, dev where it is left out.
SHELL := /bin/bash
.ONESHELL:
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

STACK ?= dev
PYTHON := .venv/bin/python
export STACK
# As it was given: a command for a node may hold anything that a shell reads, and make would read what follows a $.
override CMD := $(value CMD)
export CMD

# Everything below runs in the environment that `. ./activate` gives to a person's shell.
IN_ENV := . ./activate

.PHONY: help setup stack up preview refresh outputs status repair replace recover ssh purge destroy demo test test-full bench check \
	preview-report drift-report deploy review-stacks review-plan review-comment drift-issue

help: ## Print this list
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo "Each takes STACK=<name> (default dev); test and bench take ONLY=<part>."

setup: ## Install what is missing: Python environment, engine, machine tools, node image
	@./setup

stack: setup
	@$(IN_ENV); python -m operate stack

up: stack ## Create or change the storage, end with it running
	@$(IN_ENV); pulumi up --stack "$$STACK" --yes --skip-preview $(ARGS)

preview: stack ## Show what `make up` would do
	@$(IN_ENV); pulumi preview --stack "$$STACK" --diff $(ARGS)

# The report alone goes to stdout. Status of `operate`: 0 nothing dangerous, 2 dangerous, 3 drifted, 1 the preview failed;
# make itself turns each but 0 into its own 2.
preview-report: ## Print what `make up` would do as Markdown for a pull request; fails where it is dangerous
	@./setup >&2
	$(IN_ENV)
	python -m operate stack >&2
	python -m operate preview-report $(if $(ALLOWED),--allowed) $(if $(LIMIT),--limit $(LIMIT)) \
		-- $(if $(PLAN),--save-plan "$(PLAN)") $(ARGS)

drift-report: ## Print what is no longer as `make up` left it as Markdown; fails where anything is
	@./setup >&2
	$(IN_ENV)
	python -m operate stack >&2
	python -m operate preview-report --drift -- $(ARGS)

refresh: stack ## Look at the real machines and disks, and take what is seen into the state
	@$(IN_ENV); pulumi refresh --stack "$$STACK" --yes $(ARGS)

outputs: stack ## Print the add-on's outputs, with ENV=<environment> the part that its add-on may see (holds secrets)
	@$(IN_ENV); python -m operate outputs $(if $(ENV),"$(ENV)")

status: stack ## Show the state of every node, with JSON=1 for programs
	@$(IN_ENV); python -m operate status $(if $(JSON),--json)

repair: stack ## Bring every node back to what the stack says: exports, firewall, services, program
	@$(IN_ENV); python -m operate repair

recover: stack ## After the state was lost: say what is there, with CONFIRM=<stack> take it over into a new state
	@$(IN_ENV); python -m operate recover $(if $(CONFIRM),--confirm "$(CONFIRM)")

replace: stack ## Bring a fresh machine into the place of NODE=<node>, lost or not, and wait until it is healed
	@$(IN_ENV); python -m operate replace "$(NODE)"

ssh: stack ## Open a shell on NODE=<node>, or run CMD="..." there
	@$(IN_ENV); python -m operate ssh $(if $(NODE),--node "$(NODE)") $(if $(CMD),-- "$$CMD")

purge: stack ## Delete the kept backups of ENV=<removed environment>; CONFIRM=<the same> does it
	@$(IN_ENV); python -m operate purge "$(ENV)" $(if $(CONFIRM),--confirm "$(CONFIRM)")

# With its preview, which finds what is protected before anything is deleted.
destroy: stack ## Remove the stack's machines, disks and passwords (protected ones are refused)
	@$(IN_ENV); pulumi destroy --stack "$$STACK" --yes $(ARGS)
	@$(PYTHON) -m components.qemu sweep --root ".state/local/$$STACK"

demo: stack ## Run the add-on's whole flow against the running storage, on an application machine of its own
	@$(IN_ENV); python -m demo

check:
	@./setup --tests
	$(IN_ENV)
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

# What the workflows run besides. `deploy` leaves the engine's own preview in: that is where it compares the plan, before
# anything has been touched. The others need nothing but Python, so their jobs install nothing.
deploy: stack
	@$(IN_ENV); pulumi up --stack "$$STACK" --yes --suppress-outputs $(if $(PLAN),--plan "$(PLAN)") $(ARGS)

review-stacks:
	@python3 -m operate.report.stacks $(if $(BASE),--base "$(BASE)") $(if $(GITHUB),--github)

review-plan:
	@python3 -m operate.report.github plan "$$STACK" "$(COMMIT)" "$(PLAN)"

review-comment:
	@python3 -m operate.report.github comment "$(PULL)" "$(REPORTS)"

drift-issue:
	@python3 -m operate.report.github issue "$$STACK" "$(REPORT)"
