# Every command of the project. `make` alone lists them.

# The Python that makes .venv; everything else runs inside it.
PYTHON ?= python3
# The container tool; empty means the first of docker and podman that works here.
CONTAINER ?=
# Further options: `make lock LOCK_FLAGS=--upgrade`, `make image IMAGE_FLAGS='--build-arg BASE=...'`.
LOCK_FLAGS ?=
BENCH_FLAGS ?=
IMAGE ?= shapserve:0.1.0
IMAGE_FLAGS ?=

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
DEEP := .venv-deep/.installed
ARTIFACT := build/breast-cancer
# A process a core; the tests of one file stay together, because they share servers and models.
PYTEST := $(BIN)/python -m pytest -n auto --dist loadfile

# ONNX Runtime's official builds send usage data to their maker unless told not to.
export ORT_DISABLE_TELEMETRY := 1

MAKEFLAGS += --no-builtin-rules
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup demo serve test check soak deep lint format bench lock wheel image clean

help: ## List the commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

setup: $(INSTALLED) ## Create .venv from the hash-pinned lock file (the others call it first)

# Made anew only when what is installed would change. pip is told nothing about where packages
# come from: its own configuration and environment decide.
$(INSTALLED): requirements/dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "make: shapserve needs Python 3.11 or newer, and '$(PYTHON)' is not." >&2; \
	  echo "      Name another one: make setup PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' || { \
	  echo "make: '$(PYTHON)' cannot create virtual environments." >&2; \
	  echo "      On Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	@$(BIN)/python -c 'import pip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	  $(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --require-hashes -r requirements/dev.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

demo: $(INSTALLED) ## Train, explain, distil, save, serve, score: the whole way in one go
	$(BIN)/python examples/breast_cancer.py

serve: $(INSTALLED) $(ARTIFACT)/manifest.json ## Serve the demo's artifact until Ctrl-C
	$(BIN)/shapserve serve --artifact $(ARTIFACT)

# The demo leaves its artifact behind.
$(ARTIFACT)/manifest.json: | $(INSTALLED)
	$(BIN)/python examples/breast_cancer.py

test: lint ## Everything but the soak: linters, types, all tests
	$(PYTEST) -m "not soak"

check: lint ## The fast part of `make test`
	$(PYTEST) -m "not slow and not soak"

soak: $(INSTALLED) ## Long fuzz and load runs
	$(BIN)/python -m pytest -m soak || { \
	  [ $$? != 5 ] || echo "make: no soak test was found, so nothing was soaked" >&2; exit 1; }

deep: $(DEEP) ## Test torch networks, in an environment of their own (.venv-deep)
	.venv-deep/bin/python -m pytest tests/deep

# Torch lies over .venv in an environment of its own: nothing that is served needs it.
$(DEEP): requirements/deep.lock $(INSTALLED)
	@$(BIN)/python -m venv --clear .venv-deep
	@$(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))' > \
	  "$$(.venv-deep/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/over.pth"
	.venv-deep/bin/python -m pip install --quiet --require-hashes -r requirements/deep.lock
	@touch $@

lint: $(INSTALLED) ## Check style, formatting and types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

format: $(INSTALLED) ## Format the code and fix what can be fixed safely
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

bench: $(INSTALLED) ## Measure speed, memory and error against shap and others (BENCH_FLAGS='--only grid')
	$(BIN)/python -m benchmarks $(BENCH_FLAGS)

# One resolution for every platform. The serving lock takes its versions from the development
# lock, so that what is tested is what is served. Pins stay as they are unless they must move.
UV_COMPILE = build/uv/bin/uv pip compile --quiet --universal --python-version 3.11 \
  --generate-hashes --no-emit-index-url --no-emit-find-links --no-annotate --no-header $(LOCK_FLAGS)
# The build without GPU libraries, which torch's own index has; uv finds it where UV_INDEX or
# UV_FIND_LINKS point to that.
TORCH = torch==2.13.0+cpu
BUILD_REQUIRES = import tomllib; \
  print(*tomllib.load(open("pyproject.toml", "rb"))["build-system"]["requires"], sep="\n")

# What the benchmark compares with, in environments of their own.
PEERS = alibi guide plots shapiq

lock: ## Make the lock files in requirements/ from pyproject.toml
	$(PYTHON) -m venv --clear build/uv
	build/uv/bin/python -m pip install --quiet uv
	$(UV_COMPILE) pyproject.toml --extra distil --group dev -o requirements/dev.lock
	$(UV_COMPILE) pyproject.toml -c requirements/dev.lock -o requirements/serve.lock
	echo '$(TORCH)' | $(UV_COMPILE) - -c requirements/dev.lock -o requirements/deep.lock
	$(PYTHON) -c '$(BUILD_REQUIRES)' | \
	  $(UV_COMPILE) - -c requirements/dev.lock -o requirements/build.lock
	for name in $(PEERS); do \
	  $(UV_COMPILE) benchmarks/environments/$$name.in -o benchmarks/environments/$$name.txt; done

wheel: $(INSTALLED) ## Build the wheel into dist/
	$(BIN)/python -m build --wheel --no-isolation

# BUILDAH_FORMAT is for podman, whose own format has no HEALTHCHECK.
image: ## Build the serving image with docker or podman
	@for tool in $(or $(CONTAINER),docker podman); do \
	  if $$tool info >/dev/null 2>&1; then \
	    echo "$$tool build --tag $(IMAGE) $(IMAGE_FLAGS) ."; \
	    exec env BUILDAH_FORMAT=docker $$tool build --tag $(IMAGE) $(IMAGE_FLAGS) .; \
	  fi; \
	done; \
	echo "make: no container tool works here; tried: $(or $(CONTAINER),docker podman)" >&2; exit 1

clean: ## Remove everything that the other commands made
	rm -rf $(VENV) .venv-deep build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
