# Every target sets itself up: only make and a Python 3.11 or 3.12 are needed.
HOME_FOLDER := $(CURDIR)/.ocd
VENV := $(CURDIR)/.venv
OCD := env OCD_HOME=$(HOME_FOLDER) $(VENV)/bin/ocd

.PHONY: help nightly test bench up down lint docs schema-lock chaos drill mutants venv venv-dev
help: ## Show these targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

nightly: venv ## Run tonight's jobs on this clone's own servers (KEEP=1 leaves them up)
	@$(OCD) night --local $(if $(KEEP),--keep)

test: venv-dev ## Run the whole test suite on servers that it starts itself
	@$(VENV)/bin/python -m pytest -n $(or $(JOBS),2) --dist loadfile --no-loadscope-reorder $(ARGS)

bench: venv-dev ## Measure what the ledger costs, on servers of its own (ARGS="--only worker")
	@$(VENV)/bin/python -m benchmarks.ledger $(ARGS)

up: venv ## Run everything in the foreground: PostgreSQL, Redis, worker, beat, Flower
	@$(OCD) up

down: venv ## Stop what `up` or KEEP=1 left running
	@$(OCD) down

lint: venv-dev ## Lint and type-check
	@.ci/run lint && .ci/run types && .ci/run imports

schema-lock: venv-dev ## Write migrations/schema.lock anew from a fresh database
	@$(VENV)/bin/python -m ocd.database.lock

docs: venv-dev ## Write the generated reference pages
	@$(VENV)/bin/python docs/generate.py

chaos: venv-dev ## Kill everything at random for ten minutes; count what was lost or doubled
	@$(VENV)/bin/python -m tests.crash.chaos $(or $(ARGS),--seed 1 --windows 200 --minutes 10)

drill: venv-dev ## Kill each deed of the lifecycle, damage backups, take Redis away; nothing may be lost
	@$(VENV)/bin/python -m tests.crash.drill $(or $(ARGS),--rounds 50 --seed 1)
	@$(VENV)/bin/python -m tests.crash.kills --rounds 50 --seed 1
	@$(VENV)/bin/python -m tests.crash.corruption --cases 200 --seed 1

mutants: venv-dev ## Take out one safeguard at a time; its test has to fail (ARGS="--only A3")
	@$(VENV)/bin/python -m tests.crash.mutants $(ARGS)

venv:
	@.ci/venv requirements.lock

venv-dev:
	@.ci/venv requirements-dev.lock
