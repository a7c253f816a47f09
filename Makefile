# Two targets do everything on a machine that has Python 3.11 with venv, make and git: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1

DEMO := PACKHORSE_HOME='$(CURDIR)/.packhorse' PATH="$(CURDIR)/$(BIN):$$PATH"

.PHONY: help demo demo-stop test lint format bench lock clean

help: ## what can be made
	@sed -n 's/^\([a-z-]*\):.*## /  make \1  /p' $(MAKEFILE_LIST) | expand -t 20

# pip installs the pinned set with hashes; the stamp is newer than what it was made from.
$(VENV)/.installed: pyproject.toml requirements-dev.lock
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --require-hashes --requirement requirements-dev.lock
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

demo: $(VENV)/.installed ## mirror, build, upload, deploy the sample app: all of it on this machine
	@$(DEMO) sh demo.sh

demo-stop: ## stop what `make demo` started; its state stays in .packhorse/
	@$(DEMO) release -C sample_app stop local
	@$(DEMO) mirror stop

test: $(VENV)/.installed ## run the whole suite, unit and integration
	@$(BIN)/python tests/support/debian_packages.py
	$(BIN)/pytest --numprocesses auto --dist loadfile $(TESTS)

lint: $(VENV)/.installed ## format check, ruff, mypy strict, import-linter, ansible-lint
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy packhorse mirror release tests bench
	$(BIN)/lint-imports --no-cache
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/ansible-lint -q ansible

format: $(VENV)/.installed ## let ruff put the code in order
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/.installed ## measure: BENCH=name runs one, BENCH_JSON=file keeps the rows
	@$(BIN)/python -m bench

COMPILE := $(BIN)/uv pip compile --universal --generate-hashes --python-version 3.11 --no-header --no-annotate --quiet
ROLES := ansible/roles

lock: $(VENV)/.installed ## renew requirements-dev.lock within the bounds of pyproject.toml, and what servers get
	$(COMPILE) pyproject.toml --group dev --upgrade --output-file requirements-dev.lock
	$(COMPILE) pyproject.toml --upgrade --constraints requirements-dev.lock --output-file $(ROLES)/mirror/files/requirements.txt
	$(COMPILE) $(ROLES)/app_host/files/toolbox.in --upgrade --constraints requirements-dev.lock \
	  --output-file $(ROLES)/app_host/files/toolbox.txt

clean: ## remove what was made here (the demo's state too)
	rm -rf $(VENV) .packhorse build *.egg-info .mypy_cache .ruff_cache .pytest_cache
