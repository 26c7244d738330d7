# Two commands on a fresh machine: `make demo` and `make test`. Python 3.11 or newer and make are all they need.

PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip -qq --disable-pip-version-check
# The build backend is a program that its Python module looks for on PATH.
BUILD := PATH="$(CURDIR)/$(BIN):$$PATH" $(PIP) install --no-deps --no-build-isolation

.PHONY: help demo test check soak sim planted mutants fuzz coverage bench images lint format requirements

help: ## list these commands (the default)
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-14s%s\n", $$1, $$2}' Makefile

demo: .venv/sinkd.installed ## try sinkd: an example agent, four jobs, their runs (PORT=9000 moves it)
	@$(BIN)/sinkd demo $(if $(PORT),--port $(PORT)) $$(test -t 0 || echo --once)

test: .venv/tests.installed ## run every test; tests/README.md says how long each part may take
	@SINKD_PROPERTY_SECONDS=20 SINKD_FUZZ_SECONDS=36 $(BIN)/pytest -n auto

check: lint ## run the linters and the fast tests, in under 90 seconds
	@$(BIN)/pytest -n auto --hypothesis-profile check -m 'not slow and not e2e'

soak: .venv/tests.installed ## 500 kills, 10,000 edits, a failing disk, six hours at 60 times the speed
	@$(BIN)/pytest -n auto -m soak

sim: .venv/tests.installed ## look for broken promises in random lives and at every power cut (MINUTES=60)
	@PYTHONPATH=tests $(BIN)/python -m sim.search --every 1 --seconds $$(( $(or $(MINUTES),10) * 60 ))

planted: .venv/tests.installed ## plant bugs in a copy, and name what finds each of them
	@PYTHONPATH=tests $(BIN)/python -m planted.run

mutants: .venv/tests.installed ## change one thing after another in five modules, and count what no test notices
	@rm -rf mutants
	@SINKD_PROPERTY_SECONDS=1 $(BIN)/mutmut run
	@$(BIN)/python tests/mutants.py

fuzz: .venv/tests.installed ## try mutated files for 30 minutes (MINUTES=5 takes 5)
	@SINKD_FUZZ_SECONDS=$$(( $(or $(MINUTES),30) * 60 )) $(BIN)/pytest -n 2 tests/fuzz/test_fuzz.py

# 95 % of all, and every branch of the five that decide. Slowed down as it is, a test of time may fail.
COVERED := sinkd/schedule.py,sinkd/decide.py,sinkd/journal.py,sinkd/source.py,sinkd/secrets.py
coverage: export COVERAGE_FILE = $(CURDIR)/.coverage-data/all
coverage: .venv/tests.installed ## run every test, and show the lines of the product that none reaches
	@mkdir -p .coverage-data && chmod 1777 .coverage-data # some processes run as another user
	-@SINKD_PROPERTY_SECONDS=20 SINKD_FUZZ_SECONDS=36 $(BIN)/pytest -n auto --cov --cov-report=
	@$(BIN)/coverage report --show-missing --skip-covered --fail-under=95
	@$(BIN)/coverage report --include=$(COVERED) --fail-under=100

bench: .venv/tests.installed ## measure what takes minutes to measure, and print the figures
	@$(BIN)/pytest tests/bench/bench_*.py

images: .venv/tests.installed ## take the README's pictures of the status page anew
	@SINKD_IMAGES=deploy/images $(BIN)/pytest -p no:randomly tests/e2e/test_browser.py -k pictures

lint: .venv/tests.installed ## check format, style, types, import contracts, spelling, schemas
	@$(BIN)/ruff format --check
	@$(BIN)/ruff check --quiet
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/typos
	@for name in jobs run event plan why audit status validate api-jobs api-runs api-config badge; do $(BIN)/sinkd schema $$name --check schemas/$$name.schema.json || exit; done

format: .venv/tests.installed ## format the code and fix what ruff can fix
	@$(BIN)/ruff check --fix --quiet; $(BIN)/ruff format

# The smaller files take their versions from the largest, so that one environment holds them all.
PIN := $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url \
	--no-header --upgrade
requirements: .venv/tests.installed ## pin the newest versions that pyproject.toml allows, with hashes
	$(PIN) pyproject.toml --group test --group lint --group build -o tests/requirements.txt
	$(PIN) pyproject.toml -c tests/requirements.txt -o requirements.txt
	$(PIN) --group build -c tests/requirements.txt -o deploy/build-requirements.txt

.venv/sinkd.installed: requirements.txt deploy/build-requirements.txt pyproject.toml
	$(if $(shell $(PYTHON) -c 'import sys; assert sys.hexversion >= 0x030B0000' 2>&1 || echo no),\
		$(error sinkd needs Python 3.11 or newer; name one that is installed, as in: make PYTHON=python3.12))
	$(if $(shell $(PYTHON) -c 'import ensurepip; import venv' 2>&1 || echo no),\
		$(error $(PYTHON) cannot make a virtual environment; on Debian and Ubuntu: apt install python3-venv))
	@echo 'Installing sinkd into .venv; this takes a minute, once.'
	@$(PYTHON) -m venv .venv
	@$(PIP) install --require-hashes -r requirements.txt -r deploy/build-requirements.txt
	@$(BUILD) --editable .
	@touch $@

.venv/tests.installed: .venv/sinkd.installed tests/requirements.txt
	@echo 'Installing the tools for tests into .venv; this takes a minute, once.'
	@$(PIP) install --require-hashes -r tests/requirements.txt
	@touch $@
