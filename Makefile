# Every job of the project, one target each. GNU make >= 3.81 and POSIX sh; Debian, Ubuntu, macOS.
# pip follows the user's own configuration: no index is named here.

SHELL := /bin/sh
PYTHON ?= python3.13 python3.12 python3.11 python3
WORKERS ?= 2
KILLS ?= 300
BACKFILL_KILLS ?= 20
FAULT_DAYS ?= 60
HOLES ?= 37
BOD_DAYS ?= 14

BIN := .venv/bin
INSTALLED := .venv/.installed
DEV := .venv/.installed-dev
BENCH := .venv/.installed-bench
INPUTS := pyproject.toml constraints.txt
PIP := $(BIN)/python -m pip install -qq --disable-pip-version-check --no-input -c constraints.txt

.DEFAULT_GOAL := help
.PHONY: help install dev demo run test check soak bench clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' Makefile

install: $(INSTALLED) ## make .venv with gbpm in it (does nothing when it is up to date)

dev: $(DEV) ## install, with what the tests and checks need

demo: $(INSTALLED) ## recorded real days through the real daemon, healed (EXIT=1 ends by itself)
	@$(BIN)/python -m gbpm_dagster.demo.run $(if $(filter-out 0 no false,$(EXIT)),--exit)

run: $(INSTALLED) ## the web UI and the daemon against live Elexon, on 127.0.0.1
	@$(BIN)/gbpm up

test: check ## what CI runs: installs what it needs, then `make check`

check: $(DEV) ## ruff, mypy, import-linter, then the tests (WORKERS=2)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -n $(WORKERS) -m "not soak"

soak: $(DEV) ## the long proofs: kill -9 (KILLS=300 BACKFILL_KILLS=20), every fault of a source (FAULT_DAYS=60), the healer (HOLES=37), tests marked soak
	$(BIN)/python scripts/soak_kill.py --kills $(KILLS)
	$(BIN)/python scripts/soak_cli_kill.py --kills $(BACKFILL_KILLS)
	$(BIN)/python scripts/soak_faults.py --days $(FAULT_DAYS)
	$(BIN)/python scripts/soak_heal.py --holes $(HOLES)
	$(BIN)/python -m pytest -m soak

bench: $(BENCH) ## every benchmark; rewrites the figures of docs/performance.md (ONLY="history runs" BOD_DAYS=14)
	@BOD_DAYS=$(BOD_DAYS) $(BIN)/python -m benchmarks $(ONLY)

clean: ## remove .venv and caches; never a home (.gbpm)
	rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache *.egg-info

$(INSTALLED): $(INPUTS)
	@sh scripts/make_venv.sh $(PYTHON)
	@echo "installing into .venv (a minute or two the first time) ..."
	@$(PIP) -e .
	@touch $@

$(DEV): $(INSTALLED)
	@echo "installing what the tests need into .venv ..."
	@$(PIP) -e ".[dev]"
	@touch $@

$(BENCH): $(DEV)
	@echo "installing what the benchmarks compare with into .venv ..."
	@$(PIP) -e ".[bench]"
	@touch $@
