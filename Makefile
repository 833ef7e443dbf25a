# Two commands for a fresh machine: `make run` and `make test`. Each sets up what it needs.
# PYTHON chooses the interpreter (3.11 or newer), VENV where its packages go; the clients that
# judge the sandbox go into VENV_CONFORMANCE and the FastAPI baseline of `make bench` goes into
# VENV_BASELINE, away from the service's own.

PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV ?= .venv
VENV_CONFORMANCE ?= .venv-conformance
VENV_BASELINE ?= .venv-baseline
BIN := $(VENV)/bin
MINUTES ?= 10
ROW ?= S1.1
# The checkout itself needs no installation step to run: the entry point is `python -m service`.
TRADER := $(BIN)/python -m service

# Tests beside each other: the programs that tests/e2e starts wait more than they work.
WORKERS ?= 3

.DEFAULT_GOAL := help
.PHONY: help run test slow row lint types conformance simulation chaos soak mutants bench bench-short image-check \
	check lock clean

help: ## show these lines
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 14

run: $(VENV)/.run ## start the service (sandbox unless TRADER_MODE says otherwise)
	@exec $(TRADER) run

test: $(VENV)/.dev lint types ## lint, types, tests with coverage
	$(BIN)/python -m pytest -m "not slow and not chaos" -n $(WORKERS) --dist worksteal --cov --cov-report=term --no-cov-on-fail

slow: $(VENV)/.dev ## the tests that have to wait real time, which CI runs too
	$(BIN)/python -m pytest -m slow -n $(WORKERS)

row: $(VENV)/.dev ## the tests that prove one row of docs/specification.md; ROW=S1.1
	$(BIN)/python -m pytest --row $(ROW) -v

lint: $(VENV)/.dev ## style and format
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .

types: $(VENV)/.dev ## mypy, strict
	$(BIN)/python -m mypy

conformance: $(VENV)/.run $(VENV_CONFORMANCE)/.clients ## clients of others trade on the sandbox, a generated one on the service
	@# `confcutdir`: the other tests' fixtures need the service's packages, which are not there.
	SANDBOX_PYTHON="$(abspath $(BIN)/python)" $(VENV_CONFORMANCE)/bin/python -m pytest \
		--confcutdir=tests/conformance tests/conformance

simulation: $(VENV)/.dev ## simulated histories of the order protocol and of prices, and each safeguard taken out
	$(BIN)/python -m tests.simulation
	$(BIN)/python -m tests.simulation --switches

chaos: $(VENV)/.dev ## every fault on the real service, about fifteen minutes
	$(BIN)/python -m tests.faults

soak: $(VENV)/.dev ## load and random faults, nothing may grow; MINUTES=10
	$(BIN)/python -m tests.faults.soak --minutes $(MINUTES)

mutants: $(VENV)/.dev ## each safeguard taken out in a copy of the tree, a test has to notice; MUTANTS='"name" ...'
	$(BIN)/python -m tests.mutants $(MUTANTS)

bench: $(VENV)/.dev $(VENV_BASELINE)/.baseline ## the whole table on an empty machine, a quarter of an hour
	BASELINE_PYTHON="$(abspath $(VENV_BASELINE)/bin/python)" $(BIN)/python -m benchmarks

bench-short: $(VENV)/.dev ## ratios with slack, as CI has it, two minutes
	$(BIN)/python -m benchmarks --short

image-check: | $(VENV)/bin/python ## build the Dockerfile with buildah and see it trade (root, Debian)
	@$(BIN)/python -m tests.image

check: $(VENV)/.run ## validate the configuration
	@$(TRADER) check

lock: ## write requirements/*.lock anew (needs uv)
	uv pip compile --universal --generate-hashes --python-version 3.11 --no-header \
		--no-emit-index-url --no-emit-find-links --upgrade \
		-o requirements/run.lock setup.cfg requirements/build.in
	uv pip compile --universal --generate-hashes --python-version 3.11 --no-header \
		--no-emit-index-url --no-emit-find-links --upgrade -c requirements/run.lock \
		-o requirements/dev.lock setup.cfg requirements/build.in requirements/dev.in
	uv pip compile --universal --generate-hashes --python-version 3.11 --no-header \
		--no-emit-index-url --no-emit-find-links --upgrade \
		-o requirements/conformance.lock requirements/conformance.in
	uv pip compile --universal --generate-hashes --python-version 3.11 --no-header \
		--no-emit-index-url --no-emit-find-links --upgrade \
		-o requirements/baseline.lock requirements/baseline.in

clean: ## remove the environment and the caches; data in var/ stays
	rm -rf $(VENV) $(VENV_CONFORMANCE) $(VENV_BASELINE) .mypy_cache .ruff_cache .pytest_cache .hypothesis

# A stamp is written last, so that an interrupted set-up is done again.
SET_UP = sh requirements/install.sh

$(VENV)/.made $(VENV_CONFORMANCE)/.made $(VENV_BASELINE)/.made:
	@$(SET_UP) venv $(@D) "$(PYTHON)"
	@touch $@

$(VENV)/.run: requirements/run.lock setup.cfg | $(VENV)/.made
	@echo "Installing the pinned packages (once) ..." >&2
	@$(SET_UP) lock $(@D) requirements/run.lock
	@$(SET_UP) checkout $(@D)
	@touch $@

$(VENV)/.dev: requirements/dev.lock $(VENV)/.run
	@echo "Installing what the tests need (once) ..." >&2
	@$(SET_UP) lock $(@D) requirements/dev.lock
	@touch $@

$(VENV_CONFORMANCE)/.clients: requirements/conformance.lock | $(VENV_CONFORMANCE)/.made
	@echo "Installing the clients that judge the sandbox (once) ..." >&2
	@$(SET_UP) lock $(@D) requirements/conformance.lock
	@touch $@

$(VENV_BASELINE)/.baseline: requirements/baseline.lock | $(VENV_BASELINE)/.made
	@echo "Installing the FastAPI baseline of the benchmarks (once) ..." >&2
	@$(SET_UP) lock $(@D) requirements/baseline.lock
	@touch $@
