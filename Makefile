# Every target sets itself up: only make and a Python 3.11 or 3.12 are needed.
HOME_FOLDER := $(CURDIR)/.ocd
VENV := $(CURDIR)/.venv
OCD := env OCD_HOME=$(HOME_FOLDER) $(VENV)/bin/ocd

.PHONY: help nightly test up down lint docs venv venv-dev
help: ## Show these targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

nightly: venv ## Run tonight's jobs on this clone's own servers (KEEP=1 leaves them up)
	@$(OCD) night --local $(if $(KEEP),--keep)

test: venv-dev ## Run the whole test suite on servers that it starts itself
	@$(VENV)/bin/python -m pytest $(ARGS)

up: venv ## Run everything in the foreground: PostgreSQL, Redis, worker, beat, Flower
	@$(OCD) up

down: venv ## Stop what `up` or KEEP=1 left running
	@$(OCD) down

lint: venv-dev ## Lint and type-check
	@.ci/run lint && .ci/run types && .ci/run imports

docs: venv-dev ## Write the generated reference pages
	@$(VENV)/bin/python docs/generate.py

venv:
	@.ci/venv requirements.lock

venv-dev:
	@.ci/venv requirements-dev.lock
