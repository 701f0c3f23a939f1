# Isthmus: every target explains itself with `make help`. Only Python 3.11 and make are needed beforehand.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PYTEST := $(BIN)/python -m pytest
# What meets the store; the rest says the same on either.
STORED := $(addprefix tests/,blueprint hub identity ledger practices sync stories/killed/test_ladders.py stories/killed/test_watchdog.py web/test_isolation.py web/test_api.py web/test_api_contract.py)
# Tests that need neither Chromium nor kills nor real monitoring systems.
PLAIN := not browser and not chaos and not real_monitoring
# The stores that real monitoring systems drive the hub on: both, or the one that is named.
STORES ?= $(or $(ISTHMUS_TEST_STORE),sqlite postgres)
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.DEFAULT_GOAL := help
.PHONY: help setup demo serve test check fix stories chaos browser screens hiccups postgres bench docs new-connector lock clean system-programs real-monitoring

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F':.*## ' '{printf "  \033[1m%-16s\033[0m %s\n", $$1, $$2}'

$(STAMP): requirements/dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is " + sys.version) if sys.version_info < (3, 11) else None'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing the locked dependencies (about a minute on a fresh machine) ..."
	@$(BIN)/pip install --quiet --require-hashes -r requirements/dev.lock
	@$(BIN)/pip install --quiet --no-deps --no-build-isolation -e .
	@touch $(STAMP)

setup: $(STAMP) ## Create the virtual environment with the locked dependencies

demo: $(STAMP) ## Play the main job on recorded payloads and leave the console open
	@$(BIN)/isthmus demo

serve: $(STAMP) ## Run the hub on ./data (make it first with `isthmus init`)
	@$(BIN)/isthmus serve

system-programs: # Chromium and strace for the tests that need them, where this machine lets us install them
	@sh tests/system-programs.sh

test: $(STAMP) system-programs check ## What CI runs: checks, both stores (most stories and commands on SQLite; make postgres runs all), short chaos, browser
	$(PYTEST) -n 3 --dist loadfile --no-loadscope-reorder -m "$(PLAIN)"
	ISTHMUS_TEST_STORE=postgres $(PYTEST) -n 2 --dist loadfile -m "$(PLAIN)" $(STORED)
	$(PYTEST) -n 2 --dist loadfile -m "chaos"
	$(PYTEST) -n 2 --dist loadfile -m "browser"

check: $(STAMP) ## Format, lint, types, import arrows
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

fix: $(STAMP) ## Format and mend what the linter can mend
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

stories: $(STAMP) ## The stories end to end, in ITIL words
	$(PYTEST) tests/stories

chaos: $(STAMP) system-programs ## Kill -9 at random instants, the long run (a quarter of an hour; ISTHMUS_TEST_STORE=postgres: the tickets, on PostgreSQL)
	ISTHMUS_CHAOS_KILLS=50 $(PYTEST) -m chaos --timeout 3600

browser: $(STAMP) system-programs ## Walk the pages in a real Chromium
	$(PYTEST) -m browser

screens: $(STAMP) system-programs ## Pictures of every screen, desktop and phone, light and dark, into ./build/screens
	$(BIN)/python tests/browser/screens.py build/screens

real-monitoring: $(STAMP) ## A real Prometheus, Alertmanager, Nagios, Icinga 2 and Dovecot drive the hub, on both stores (installs them where it may)
	@sh tests/system-programs.sh monitoring
	@set -e; for store in $(STORES); do echo "on $$store"; ISTHMUS_TEST_STORE=$$store $(PYTEST) -m real_monitoring tests/real_monitoring; done

hiccups: $(STAMP) system-programs ## All tests while their processes stand still for a second now and then: finds those that depend on their machine's speed
	@set -e; for part in "$(PLAIN)" chaos browser; do $(BIN)/python tests/hiccups.py $(PYTEST) -n 2 --dist loadfile -m "$$part"; done

postgres: $(STAMP) ## The whole test suite on PostgreSQL, stories included
	ISTHMUS_TEST_STORE=postgres $(PYTEST) -n 2 --dist loadfile -m "$(PLAIN)" tests

bench: $(STAMP) ## Ratios against peers and floors, measured in one run
	$(BIN)/python -m benchmarks.run

docs: $(STAMP) ## Build the documentation into ./site
	$(BIN)/python -m isthmus.cli.main docs reference docs/reference
	$(BIN)/mkdocs build --strict

new-connector: $(STAMP) ## Scaffold a webhook-only connector: make new-connector NAME=acme
	@test -n "$(NAME)" || { echo "Say which: make new-connector NAME=acme"; exit 2; }
	@$(BIN)/python -m isthmus.connectors.kit.scaffold $(NAME)

lock: ## Write the lock files again (needs the registry)
	@rm -rf build/lock && $(PYTHON) -m venv build/lock && build/lock/bin/pip install --quiet uv
	@build/lock/bin/python requirements/lock.py

clean: ## Remove what can be made again
	rm -rf $(VENV) build site .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
