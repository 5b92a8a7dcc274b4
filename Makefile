# make demo | demo-captions | test | check | benchmarks — each makes the environment first, in .venv
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

# mypy cannot see a mapped package, so it checks a copy laid out as installed.
.PHONY: all env demo demo-captions test check format build benchmarks clean
all: check test

env: $(INSTALLED)

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch==2.13.0
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

demo: env
	$(BIN)/edgernn demo text

demo-captions: env
	$(BIN)/edgernn demo captions

test: env
	$(BIN)/python -m pytest

check: env
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	rm -rf build/types && mkdir -p build/types && cp -r edgernn build/types/ && cp -r export build/types/edgernn/
	cd build/types && ../../$(BIN)/mypy --config-file ../../pyproject.toml --cache-dir ../../.mypy_cache

format: env
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

build: env
	$(BIN)/python -m build

benchmarks: env
	$(BIN)/python benchmarks/faults.py
	$(BIN)/python benchmarks/parity.py
	$(BIN)/python benchmarks/export_time.py
	$(BIN)/python benchmarks/on_device.py
	$(BIN)/python benchmarks/large_corpus.py
	$(BIN)/python benchmarks/session_overhead.py

clean:
	rm -rf $(VENV) build dist *.egg-info demo-text demo-captions
