# Every task of the project. `make help` lists them.
#
# `.venv` is made from the pinned versions in requirements/, hashes checked: first what runs, then what develops.
# A stamp file tells make when either is older than its pins.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
PIP_COMPILE ?= pip-compile
# Two more than cores: many tests wait for heartbeats, locks and processes.
PYTEST_WORKERS ?= $(shell expr $$(nproc) + 2)

VENV := .venv
BIN := $(VENV)/bin
RUN := $(VENV)/.run-installed
DEV := $(VENV)/.dev-installed
PIP_INSTALL := $(BIN)/python -m pip install -qq --disable-pip-version-check

# pytest with a temporary directory of its own: what earlier runs left in the shared one is neither read nor removed.
# `rm` takes trees that are deeper than Python's own removal can go.
PYTEST := scratch=$$(mktemp -d) && trap 'rm -rf "$$scratch"' EXIT && $(BIN)/python -m pytest --basetemp="$$scratch/tests"

# Installs the Debian packages of programs that are missing: all that the tests call, or those that are named. Where it
# may not, it says what would bring them, and what needs them is skipped; with HOLDFAST_TESTS_SKIP_NOTHING, it fails.
BRING = missing=$$($(BIN)/python tests/support/programs.py $(1)) && \
	{ .ci/install $$missing || test -z "$$HOLDFAST_TESTS_SKIP_NOTHING"; }

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help install dev check manual format test faults heavy installed mutants bench far requests profile demo python programs restic pins clean

help:  ## list the tasks
	@sed -n 's/^\([a-z]*\):.*##  *\(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | while IFS="$$(printf '\t')" read -r name text; do \
		printf '  make %-9s %s\n' "$$name" "$$text"; done

install: $(RUN)  ## make .venv with the holdfast command

dev: $(DEV)  ## make .venv with the tools for tests and checks

# A Python that makes virtual environments. Debian has the package for that under the name of each Python.
python:
	@test -x $(BIN)/pip || $(or $(PYTHON),false) -c 'import ensurepip' 2>/dev/null || \
		.ci/install $(notdir $(or $(PYTHON),python3)) $(notdir $(or $(PYTHON),python3))-venv

$(RUN): requirements/build.txt requirements/run.txt pyproject.toml | python
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo 'Holdfast needs Python 3.11 or later; name one: make PYTHON=/path/to/python3.11'; exit 1; }
	@echo 'Installing the pinned versions into $(VENV) …'
	@test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV)
	@$(PIP_INSTALL) --require-hashes -r requirements/build.txt -r requirements/run.txt
	@$(PIP_INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@

$(DEV): $(RUN) requirements/dev.txt
	@echo 'Installing the tools for tests and checks …'
	@$(PIP_INSTALL) --require-hashes -r requirements/dev.txt
	@touch $@

check: $(DEV)  ## lint, format, types and layers, without changing anything
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

manual: $(DEV)  ## write the man page and what completion knows of commands, from the commands' own options
	$(BIN)/python -m holdfast.starter.manual

format: $(DEV)  ## format the code and mend what ruff can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

programs: $(DEV)
	@$(call BRING)

restic: $(RUN)
	@$(call BRING,restic)

test: $(DEV) programs  ## run the tests, without faults and heavy ones
	$(PYTEST) -n $(PYTEST_WORKERS) --dist worksteal -m 'not faults and not heavy'

faults: $(DEV) programs  ## run the tests that kill, freeze and fill disks
	$(PYTEST) -m faults --timeout 1200

heavy: $(DEV) programs  ## run the tests of bounds that take minutes or gigabytes, and show what they measured
	$(PYTEST) -m heavy --timeout 3600 -rP

installed: $(DEV)  ## build the wheel, and try it on each Python from 3.11 to 3.13 that is here
	$(BIN)/python -m tests.installed

mutants: $(DEV) programs  ## change the modules that guard data, a little at a time; a test has to notice each; COUNT=… SEED=…
	$(BIN)/python -m tests.mutation --count $(or $(COUNT),60) --seed $(or $(SEED),1)

bench: $(DEV) programs  ## measure beside restic and other peers; JOBS=… RUNS=… SCALE=… for a part of it
	$(BIN)/python -m benchmarks $(if $(JOBS),--jobs $(JOBS)) --runs $(or $(RUNS),5) --scale $(or $(SCALE),1)
	$(if $(JOBS),,$(BIN)/python -m benchmarks.far --runs $(or $(RUNS),5) --scale $(or $(SCALE),1) --write)

far: $(DEV) programs  ## measure on an S3 server, near and at 30 ms, beside restic; RUNS=… SCALE=…
	$(BIN)/python -m benchmarks.far --runs $(or $(RUNS),5) --scale $(or $(SCALE),1) --write

requests: $(DEV) programs  ## count what jobs ask of an S3 server, beside restic
	$(BIN)/python -m benchmarks.requests --write

profile: $(DEV) programs  ## where the time goes: py-spy over the engine's jobs; JOBS=… SCALE=…
	$(BIN)/python -m benchmarks.profile $(if $(JOBS),--jobs $(JOBS)) --scale $(or $(SCALE),1)

demo: $(if $(STORE),$(DEV),$(RUN)) restic  ## see a backup and a restore survive kills; STORE=s3: in a bucket; KEEP=1 leaves what it made
	@$(BIN)/python -m demo $(if $(KEEP),--keep) $(if $(STORE),--store $(STORE))

pins:  ## compile requirements/*.txt anew (needs pip-compile, from pip-tools)
	$(PIP_COMPILE_PINNED) -o requirements/build.txt requirements/build.in
	$(PIP_COMPILE_PINNED) -o requirements/run.txt pyproject.toml
	$(PIP_COMPILE_PINNED) -o requirements/dev.txt --extra dev --constraint requirements/run.txt pyproject.toml

# No address of an index, and none of the machine's own settings, gets into the pins.
PIP_COMPILE_PINNED = CUSTOM_COMPILE_COMMAND='make pins' $(PIP_COMPILE) --quiet --generate-hashes --strip-extras \
	--allow-unsafe --no-emit-index-url --no-emit-trusted-host --no-emit-find-links --no-emit-options

clean:  ## remove what the other tasks made, .venv too
	rm -rf $(VENV) build dist *.egg-info demo-work bench-work mutation-work
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
