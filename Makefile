# make demo | demo-captions | test | check | examples | benchmarks — each makes the environment first, in .venv
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
TORCH := torch==2.13.0

# mypy cannot see a mapped package, so it checks a copy laid out as installed.
.PHONY: all env fuzz kills demo demo-captions test check format build examples examples-env kotlin-env benchmarks site clean
all: check test

env: $(INSTALLED)

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python .ci/which_torch.py $(TORCH)
	$(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt $(TORCH)
	$(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

demo: env
	$(BIN)/edgernn demo text

demo-captions: env
	$(BIN)/edgernn demo captions

test: env
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile

# SIGKILL at every write and rename of training, export and packing; make kills KILLS=20
KILLS ?= 200
kills: env
	$(BIN)/python benchmarks/kills.py --kills $(KILLS)

# Seeded damage to everything that is read; make fuzz COUNT=500 SEED=7
COUNT ?= 10000
SEED ?= 0
fuzz: env
	$(BIN)/python tests/fuzz/fuzz.py --count $(COUNT) --seed $(SEED)

check: env
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	rm -rf build/types && mkdir -p build/types && cp -r edgernn build/types/ && cp -r export build/types/edgernn/
	cd build/types && ../../$(BIN)/mypy --config-file ../../pyproject.toml --cache-dir ../../.mypy_cache

format: env
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# The Markdown as a site, with MkDocs (the extra docs); it opens from disk.
site: env
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[docs]'
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

build: env
	$(BIN)/python -m build

# npm packages of the examples, where node is; ignore-scripts: what they would download is not needed on the CPU.
examples-env: env kotlin-env
	if command -v npm >/dev/null; then \
	  (cd runtime_examples/node && npm ci --ignore-scripts --no-audit --no-fund) && \
	  (cd runtime_examples/web && npm ci --ignore-scripts --no-audit --no-fund && npm run --silent vendor); fi

kotlin-env:
	if command -v npm >/dev/null; then \
	  (cd runtime_examples/android && npm install --ignore-scripts --no-save --no-audit --no-fund kotlin-compiler@2.4.20); fi

examples: examples-env
	$(BIN)/python runtime_examples/make_bundles.py build/examples
	$(BIN)/python runtime_examples/run_checks.py build/examples $(EXAMPLES_FLAGS)

benchmarks: env
	$(BIN)/python benchmarks/faults.py
	$(BIN)/python benchmarks/parity.py
	$(BIN)/python benchmarks/export_time.py
	$(BIN)/python benchmarks/on_device.py
	$(BIN)/python benchmarks/large_corpus.py
	$(BIN)/python benchmarks/large_vocabulary.py
	$(BIN)/python benchmarks/session_overhead.py
	$(BIN)/python benchmarks/text_in_c.py
	$(BIN)/python benchmarks/wasm.py
	$(BIN)/python benchmarks/hoisting.py

clean:
	rm -rf $(VENV) build dist *.egg-info demo-text demo-captions runtime_examples/*/node_modules
