# Every target sets up what it needs in $(VENV) and says what it does.
#   make demo          train a network and draw what it learnt (needs Python 3.11+ and nothing else)
#   make test          the tests of Pellucid alone
#   make conformance   the tests against PyTorch itself
#   make bench         speed beside PyTorch; BENCH="--only gather" runs a part
#   make lint          ruff and mypy
#   make clean         remove everything that these targets made
PYTHON ?= python3
VENV ?= .venv
BENCH ?=
PYTEST ?= -q -n 2
# Where pip finds a PyTorch without CUDA, if not in its own index, for instance
# TORCH_INDEX=--extra-index-url=https://download.pytorch.org/whl/cpu
TORCH_INDEX ?=

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq install --prefer-binary

.PHONY: help demo test conformance bench lint clean
help:
	@sed -n 's/^#   //p' Makefile

demo: $(VENV)/.examples
	@mkdir -p build
	@$(BIN)/pellucid run examples/mae_digits.py --out build/mae_digits.png

test: $(VENV)/.test
	@$(BIN)/python -m pytest $(PYTEST) tests --ignore=tests/conformance

conformance: $(VENV)/.test $(VENV)/.examples $(VENV)/.reference
	@$(BIN)/python -m pytest $(PYTEST) tests/conformance

bench: $(VENV)/.reference
	@$(BIN)/python -m benchmarks.run $(BENCH)

lint: $(VENV)/.lint
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check examples benchmarks
	@$(BIN)/mypy

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -path ./.git -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +

# ---------------------------------------------------------------------------------------------- setting up

$(VENV)/.python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "Pellucid needs Python 3.11 or newer; name one with: make PYTHON=python3.12"; exit 1; }
	@echo "setting up $(VENV)"
	@$(PYTHON) -m venv $(VENV) || \
	    { echo "Python's venv module is missing (on Debian and Ubuntu: apt install python3-venv)"; exit 1; }
	@touch $@

$(VENV)/.runtime: $(VENV)/.python pyproject.toml
	@echo "installing Pellucid and its dependencies"
	@$(PIP) --editable .
	@touch $@

$(VENV)/.examples: $(VENV)/.python pyproject.toml
	@echo "installing Pellucid, its dependencies, scikit-learn and matplotlib"
	@$(PIP) --no-compile --editable '.[examples]'
	@touch $@ $(VENV)/.runtime

$(VENV)/.test: $(VENV)/.python pyproject.toml
	@echo "installing Pellucid, its dependencies and what the tests need"
	@$(PIP) --editable '.[test]'
	@touch $@ $(VENV)/.runtime

$(VENV)/.reference: $(VENV)/.runtime pyproject.toml
	@echo "installing PyTorch, the reference"
	@$(PIP) $(TORCH_INDEX) --editable '.[reference]'
	@touch $@

$(VENV)/.lint: $(VENV)/.runtime pyproject.toml
	@echo "installing ruff and mypy"
	@$(PIP) --editable '.[lint]'
	@touch $@
