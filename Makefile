# `make demo` and `make test` need Python 3.11 or later with venv, make and git, and install the rest.
# Debian 12's Python, where it is: hosts have it, and its build is optimized, which pyenv's is not: an agent starts
# in two thirds of the time.
PYTHON ?= $(shell /usr/bin/python3.11 -c 'import ensurepip' 2>/dev/null && echo /usr/bin/python3.11 || echo python3)
VENV := .venv
# More than processors: tests also wait, for starts, for time limits and for each other's programs.
WORKERS ?= $(shell echo $$(($$(getconf _NPROCESSORS_ONLN) * 3 / 2)))
BIN := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1

DEMO := PACKHORSE_HOME='$(CURDIR)/.packhorse' PATH="$(CURDIR)/$(BIN):$$PATH"

.PHONY: help demo demo-stop test test-unit test-integration lint format bench lock advisories clean

help: ## show these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-18s%s\n", $$1, $$2}' $(MAKEFILE_LIST)

# pip installs the pinned set with hashes; the stamp is newer than pyproject.toml and the lock. The set is whole:
# without --no-deps, pip may miss the pin of a package that another one requires with an extra, and refuse it.
$(VENV)/.installed: pyproject.toml requirements-dev.lock
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --no-compile --no-deps --require-hashes --requirement requirements-dev.lock
	$(BIN)/python -W ignore -m compileall -qq -j 0 $(VENV)/lib  # on all processors; pip takes one
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

demo: $(VENV)/.installed ## start a mirror here, build, upload and deploy the sample app
	@$(DEMO) sh demo.sh

demo-stop: ## stop what `make demo` started; its state stays in .packhorse/
	@$(DEMO) release -C sample_app stop local
	@$(DEMO) mirror stop

test: $(VENV)/.installed ## run the whole suite; TESTS=path for a part of it
	@$(BIN)/python tests/support/debian_packages.py
	$(BIN)/pytest --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder $(TESTS)

test-unit: $(VENV)/.installed ## run the unit tests: no servers, two minutes on two processors
	$(BIN)/pytest --numprocesses auto tests/unit

test-integration: ## run the tests that start real servers
	@$(MAKE) --no-print-directory test TESTS=tests/integration

lint: $(VENV)/.installed ## format check, ruff, mypy strict, import-linter, ansible-lint, known vulnerabilities
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy packhorse mirror release tests bench
	$(BIN)/lint-imports --no-cache
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/ansible-lint -q ansible
	$(BIN)/python -m tests.support.advisories

format: $(VENV)/.installed ## format and fix the code with ruff
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/.installed ## run the benchmarks: BENCH=name for one, BENCH_JSON=file keeps the rows
	@$(BIN)/python tests/support/debian_packages.py
	@$(BIN)/python -m bench

COMPILE := $(BIN)/uv pip compile --universal --generate-hashes --python-version 3.11 --no-header --no-annotate --quiet
ROLES := ansible/roles

# Not within the bounds of the first lock: botocore, which is for development alone here, bounds python-dateutil.
# tests/unit/test_locks.py compares them.
lock: $(VENV)/.installed ## renew the locks of development and of servers within the bounds of pyproject.toml
	$(COMPILE) pyproject.toml --group dev --upgrade --output-file requirements-dev.lock
	$(COMPILE) pyproject.toml --extra provenance --upgrade --output-file $(ROLES)/mirror/files/requirements.txt
	$(COMPILE) $(ROLES)/app_host/files/toolbox.in --upgrade --constraints requirements-dev.lock \
	  --output-file $(ROLES)/app_host/files/toolbox.txt

advisories: $(VENV)/.installed ## renew the file of known vulnerabilities that lint reads; needs the internet
	$(BIN)/python -m tests.support.advisories renew

clean: ## delete all generated files, and the demo's state
	test ! -d .packhorse || chmod -R u+w .packhorse  # releases are read-only
	rm -rf $(VENV) .packhorse build *.egg-info .mypy_cache .ruff_cache .pytest_cache
