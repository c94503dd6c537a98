# Everything runs from a fresh checkout: each target sets up what it needs, once.
PYTHON ?= python3
TORCH := 2.13.0
JOBS ?= 2
CORPORA ?= build/corpora
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: setup quickstart test test-all check format bench bench-vectors docs lock clean

setup: $(READY)

$(READY): requirements.lock pyproject.toml Makefile
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "hanmo needs Python 3.11 or newer: make PYTHON=python3.12"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check torch==$(TORCH)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

quickstart: setup
	$(BIN)/hanmo quickstart $(ARGS)

# one thread each: tests are too small to share, and two workers that both want all cores only wait for each other
test: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n $(JOBS) --dist loadfile -m "not slow and not gpu and not network" $(ARGS)

test-all: setup
	HYPOTHESIS_PROFILE=explore $(BIN)/python -m pytest -q -m "not network" $(ARGS)

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/python -m pytest -q tests/test_house.py

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: setup
	$(BIN)/python benchmarks/startup.py
	$(BIN)/python benchmarks/train.py
	$(BIN)/python benchmarks/decode.py
	$(BIN)/python benchmarks/forward.py
	$(BIN)/python benchmarks/encode.py
	$(BIN)/python benchmarks/load.py
	$(BIN)/python benchmarks/sparse_attention.py
	$(BIN)/python benchmarks/crf.py

# the programs of others take part where they are given: BENCH_VECTORS="--word2vec-c PATH", BENCH_GLOVE="--glove-c DIR",
# BENCH_NGRAM="--lmplz PATH"
bench-vectors: setup
	$(BIN)/python benchmarks/vectors.py --folder $(CORPORA) $(BENCH_VECTORS)
	$(BIN)/python benchmarks/glove.py --folder $(CORPORA) $(BENCH_GLOVE)
	$(BIN)/python benchmarks/ngram.py $(CORPORA) $(BENCH_NGRAM)

docs: setup
	$(BIN)/python -m pytest -q tests/test_docs.py

lock:
	$(BIN)/python -m pip install --quiet uv
	BIN=$(BIN) scripts/lock.sh

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache build dist
