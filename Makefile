# Every target sets up what it needs first; a second run of a target does only what has changed.
PYTHON ?= python3.11
BIN := .venv/bin
READY := .venv/.ready
ONLY ?=

.PHONY: setup demo test test-slow test-ui check format dev bench learn faults clean

setup: $(READY)

$(BIN)/python:
	$(PYTHON) -m venv .venv || python3 -m venv .venv
	$(BIN)/python -c 'import sys; assert sys.version_info[:2] == (3, 11), "Python 3.11 is needed"'

# torch comes first and pinned: an open range can pull several GB of CUDA packages.
$(READY): pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/pip install --quiet torch==2.13.0
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $(READY)

demo: setup
	$(BIN)/trading-assets run us_equities

# A worker for each core; the tests of a file share what they prepare, so they stay together.
test: setup
	$(BIN)/pytest -n 2 --dist loadfile

test-slow: setup
	$(BIN)/pytest -m slow

# Drives the real UI in headless Chromium on the demo's instance.
test-ui: setup demo
	$(BIN)/pytest -m ui

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright
	$(BIN)/pip check

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

dev: setup
	$(BIN)/trading-assets sweep
	$(BIN)/trading-assets pages & pages=$$!; trap "kill $$pages" EXIT; \
	$(BIN)/dagster dev --workspace workspace.yaml

bench: setup
	$(BIN)/python -m trading_assets_tests.benchmarks $(ONLY)

# Trains every agent on the worlds whose optimum is known; about an hour on two cores.
learn: setup
	$(BIN)/python -m trading_assets_tests.learning $(ONLY)

# Kills, corrupts, fills disks, holds locks and sends hostile input; all that did harm is printed.
faults: setup
	$(BIN)/python -m trading_assets_tests.faults $(ONLY)

clean:
	rm -rf .venv build dist *.egg-info .pytest_cache .ruff_cache .hypothesis .logs_queue
	rm -rf .tmp_dagster_home_*
	@echo "data/ was kept; remove it by hand to forget the lake and all runs"
