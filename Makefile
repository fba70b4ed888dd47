# `make run` and `make test` need Python 3.11 or newer and nothing else: each makes .venv if needed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PLUGINS := $(wildcard plugins/*)
PROJECTS := pyproject.toml cli/pyproject.toml $(PLUGINS:%=%/pyproject.toml)

.PHONY: run test lint long clean

run: $(STAMP)
	$(BIN)/wavekit run quickstart

test: $(STAMP) lint
	$(BIN)/python -m pytest -n 2 --dist loadfile

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

long: $(STAMP)
	$(BIN)/python -m pytest -m long

$(STAMP): constraints.txt $(PROJECTS)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt hatchling editables
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --no-build-isolation \
		-e '.[dev]' -e cli $(PLUGINS:%=-e %)
	touch $@

clean:
	rm -rf $(VENV)
