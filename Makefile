# Two commands: `make demo` shows Diptych, `make test` checks everything. Each sets itself up in .venv, from locked and
# hashed wheels, on a machine with Python >= 3.11 and make; nothing else is needed, and nothing is installed outside.

SHELL := /bin/sh
VENV := .venv
BIN := $(VENV)/bin

# The Python that makes .venv: by default the first of these that runs and has what is needed. Override: make PYTHON=...
PYTHON ?=
CANDIDATES := python3.13 python3.12 python3.11 python3
SUITABLE := import sys, ensurepip, sqlite3, ssl, venv; assert sys.version_info >= (3, 11)

# The tests wait as much as they work, so more of their files run at once than there are cores. One at a time: make TESTS_AT_ONCE=0
TESTS_AT_ONCE ?= 3
PYTEST = $(BIN)/python -m pytest --numprocesses=$(TESTS_AT_ONCE) --dist=loadfile

# uv is needed to change the locks, not to use them.
UV ?= uv
LOCK = $(UV) pip compile pyproject.toml --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock' --all-extras $(LOCKFLAGS)

PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input
# The lock is complete, so nothing is resolved: asked for a package with an extra, older pips would take a newer release.
PIP_LOCKED := $(PIP) install --quiet --require-hashes --no-deps --only-binary :all:
# The build backend comes from the lock as well, and is found on the PATH.
PIP_SELF := PATH="$(CURDIR)/$(BIN):$$PATH" $(PIP) install --quiet --no-index --no-deps --no-build-isolation --editable .

# Another environment's settings must not leak in; pyright runs as its wheel has it, without asking for a newer one.
unexport PYTHONPATH PYTHONHOME PYRIGHT_PYTHON_FORCE_VERSION PYRIGHT_PYTHON_PYLANCE_VERSION
export PYRIGHT_PYTHON_IGNORE_WARNINGS := 1

.DEFAULT_GOAL := help
.NOTPARALLEL:
.DELETE_ON_ERROR:
.PHONY: help demo test bench soak setup lint format types layers changelog unit wheel docs lock clean

define say
@if [ -t 1 ] && [ -z "$$NO_COLOR" ]; then printf '\n\033[1;36m==> %s\033[0m\n' $(1); else printf '\n==> %s\n' $(1); fi
endef

help: ## show this list
	@echo 'Diptych: CQRS for Python'
	@echo
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# --- The two commands, and their companions ---

demo: $(VENV)/demo.stamp ## run the demo
	@$(BIN)/diptych demo

test: lint types layers changelog unit wheel ## check everything: style, types, layers, tests, docs, the wheel
	$(call say,'All checks passed.')

bench: $(VENV)/bench.stamp ## run the benchmarks, which print ratios
	@$(BIN)/python -m bench

soak: $(VENV)/dev.stamp ## run the tests that take minutes
	$(call say,'Soak tests')
	@SOAK=1 $(PYTEST) -m soak

# --- The parts of make test ---

setup: $(VENV)/dev.stamp ## make .venv with everything for development

lint: $(VENV)/dev.stamp ## check style
	$(call say,'Style: ruff')
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check

format: $(VENV)/dev.stamp ## repair style
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

types: $(VENV)/dev.stamp ## check types, with mypy and pyright
	$(call say,'Types: mypy')
	@$(BIN)/mypy
	$(call say,'Types: pyright')
	@$(BIN)/pyright

layers: $(VENV)/dev.stamp ## check who imports whom
	$(call say,'Layers: import-linter')
	@$(BIN)/lint-imports --no-logo

changelog: $(VENV)/dev.stamp ## show the changelog of the next release
	$(call say,'Changelog: towncrier')
	@$(BIN)/towncrier build --draft

unit: $(VENV)/dev.stamp ## run the tests, and every example in README and docs
	$(call say,'Tests: pytest')
	@$(PYTEST) --cov

wheel: $(VENV)/dev.stamp ## build the wheel and use it in a clean environment
	$(call say,'Wheel: built and used in a clean environment')
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python scripts/check_wheel.py

docs: $(VENV)/dev.stamp ## build the documentation site, in site/
	$(call say,'Documentation: zensical')
	@$(BIN)/zensical build --clean --strict

# --- Set-up ---

$(VENV)/made.stamp:
	$(call say,'Setting up $(VENV)')
	@for python in $(or $(PYTHON),$(CANDIDATES)); do \
		if "$$python" -c '$(SUITABLE)' >/dev/null 2>&1; then chosen=$$python; break; fi; \
	done; \
	if [ -z "$$chosen" ]; then \
		echo 'No usable Python was found. Tried: $(or $(PYTHON),$(CANDIDATES)).' >&2; \
		echo 'Diptych needs Python 3.11 or newer with venv, pip and sqlite3 (on Debian: python3 and python3-venv).' >&2; \
		echo 'Name one with: make $(or $(MAKECMDGOALS),demo) PYTHON=/path/to/python3' >&2; \
		exit 1; \
	fi; \
	"$$chosen" --version && "$$chosen" -m venv --clear $(VENV)
	@touch $@

$(VENV)/%.stamp: requirements/%.txt pyproject.toml $(VENV)/made.stamp
	$(call say,'Installing requirements/$*.txt')
	@$(PIP_LOCKED) --requirement requirements/$*.txt
	@$(PIP_SELF)
	@touch $@

# dev.txt is resolved first and the others agree with it, so that one .venv can hold all of them.
lock: ## make the locks in requirements/ again (needs uv; LOCKFLAGS=--upgrade for newer versions)
	@$(LOCK) --group dev --output-file requirements/dev.txt
	@$(LOCK) --group bench --constraint requirements/dev.txt --output-file requirements/bench.txt
	@$(LOCK) --group backend --constraint requirements/dev.txt --output-file requirements/demo.txt

clean: ## remove everything that was made here
	@rm -rf $(VENV) build dist site htmlcov .coverage .coverage.* .cache .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	@find src tests bench scripts -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true
