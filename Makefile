# The commands of this repository. `make demo` and `make test` do all the set-up themselves.
SHELL := /bin/bash
.DEFAULT_GOAL := help

# The first Python that is new enough; say PYTHON=… for another.
PYTHON ?= $(shell for p in python3 python3.11 python3.12 python3.13; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
PY := .venv/bin/python
UV := .venv/bin/uv
STACK := .venv/bin/labelstream
REQUIREMENTS := requirements.txt requirements-dev.txt
READY := .venv/.ready
# uv does not read pip's settings: where wheels lie on this machine, and which certificates to believe.
FIND_LINKS = $${UV_FIND_LINKS:-$${PIP_FIND_LINKS:-$$($(PY) -m pip config get global.find-links 2>/dev/null || true)}}
UV_ENV = env UV_FIND_LINKS="$(FIND_LINKS)" $${PIP_CERT:+SSL_CERT_FILE="$$PIP_CERT"}

.PHONY: help
help:  ## list these commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1|/' | awk -F'|' '{printf "make %-12s %s\n", $$1, $$2}'

$(READY): $(REQUIREMENTS) constraints.txt overrides.txt $(wildcard */*/pyproject.toml)
	@test -n "$(PYTHON)" || { echo "Python 3.11 or later is needed (with its venv module)"; exit 1; }
	@test -x $(PY) || $(PYTHON) -m venv .venv
	@test -x $(UV) || $(PY) -m pip install --quiet --constraint constraints.txt uv
	$(UV_ENV) $(UV) pip install --overrides overrides.txt -c constraints.txt $(REQUIREMENTS:%=-r %)
	@touch $@

.PHONY: env
env: $(READY)  ## create the virtual environment, with every version pinned

MLFLOW_READY := .venv/mlflow/.ready
$(MLFLOW_READY): requirements-mlflow.txt | $(READY)
	$(UV) venv --quiet --clear --python $(PY) .venv/mlflow
	$(UV_ENV) $(UV) pip install --quiet --no-deps --python .venv/mlflow/bin/python -r requirements-mlflow.txt
	@touch $@

.PHONY: mlflow
mlflow: $(MLFLOW_READY)  ## install an MLflow server for the stack, some 240 MB, in an environment of its own

RKNN_READY := .venv/rknn/.ready
$(RKNN_READY): requirements-rknn.txt overrides-rknn.txt | $(READY)
	$(UV) venv --quiet --clear --no-python-downloads --python '>=3.11,<3.13' .venv/rknn
	$(UV_ENV) $(UV) pip install --quiet --overrides overrides-rknn.txt --python .venv/rknn/bin/python -r requirements-rknn.txt
	@touch $@

.PHONY: rknn
rknn: $(RKNN_READY)  ## install RKNN's toolkit (licence: Rockchip's), some 1.3 GB, in an environment of its own

# Who is compared with ours, and what they run the network and draw the clip with.
PEERS := litserve mosec bentoml ultralytics fastapi uvicorn httptools uvloop python-multipart \
	onnx onnxruntime opencv-python-headless torch torchvision av
PEERS_READY := .venv/peers/.ready
$(PEERS_READY): requirements-peers.txt overrides-peers.txt | $(READY)
	$(UV) venv --quiet --clear --python $(PY) .venv/peers
	$(UV_ENV) $(UV) pip install --quiet --overrides overrides-peers.txt --python .venv/peers/bin/python -r requirements-peers.txt
	@touch $@

.PHONY: peers
peers: $(PEERS_READY)  ## install the servers that ours is compared with, in an environment of their own

.PHONY: system
system:  ## install RabbitMQ when it is missing (Debian and Ubuntu)
	@deploy/local/install-rabbitmq

.PHONY: age
age:  ## install the standard age command for the tests, where that is possible
	@deploy/local/install-age

.PHONY: prometheus
prometheus:  ## install Prometheus, promtool and amtool, where that is possible
	@deploy/local/install-prometheus

.PHONY: demo
demo: $(READY) system  ## from annotations to a served detection, on drawn scenes (DATA=<folder>: real images; KEEP=1: stay up)
	$(STACK) demo $(if $(DATA),--data "$(DATA)") $(if $(KEEP),--keep)

.PHONY: test
test: $(MLFLOW_READY) system age prometheus  ## every test, on a real broker and a real store
	$(PY) -m pytest -n 2 --no-loadscope-reorder

.PHONY: test-rknn
test-rknn: $(READY) $(RKNN_READY)  ## the tests that need RKNN's toolkit: networks for the NPU, built and simulated
	$(PY) -m pytest services/exporter/tests/engine/test_rknn_building.py

.PHONY: faketime
faketime:  ## install libfaketime for `make chaos`, where that is possible
	@deploy/local/install-faketime

.PHONY: chaos
chaos: $(READY) system faketime prometheus  ## what `make test` does in short, at length: kills, 100,000 damaged messages (CHAOS=<rounds>); then the whole stack under load and faults (CHAOS_MINUTES=20; SEED=<n>; KEEP=1)
	FUZZ=100000 $(PY) -m pytest tests/ingest/test_fuzz.py
	FUZZ=10000 $(PY) -m pytest services/inference/tests/answering/test_contract.py services/inference/tests/answering/test_fuzzed.py
	CHAOS=$(or $(CHAOS),3) $(PY) -m pytest tests/ingest/test_kills.py tests/augmenter/test_kills.py tests/trainer/test_kills.py \
		tests/pipeline/test_chaos.py tests/chaos
	$(PY) -m chaos --minutes $(or $(CHAOS_MINUTES),20) $(if $(SEED),--seed $(SEED)) $(if $(KEEP),--keep)

.PHONY: lint
lint: $(READY)  ## formatting, lint rules, import directions, types
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/lint-imports --no-cache
	.venv/bin/mypy

.PHONY: check-deploy
check-deploy: $(READY)  ## render deploy/k8s and check it (OVERLAY=<directory>: your own kustomization)
	$(PY) -m deploy.checks $(OVERLAY)

.PHONY: manifests
manifests: $(READY)  ## render deploy/k8s/overlays for the checks on machines without kubectl, after each change there
	$(PY) -m deploy.checks.rendering

.PHONY: audit
audit: $(READY)  ## secrets in the tracked files, and known weaknesses of the pinned packages (AUDIT_SERVICE=osv or an address; OFFLINE=1)
	$(PY) -m audit $(if $(OFFLINE),--offline-is-fine)

.PHONY: up
up: $(READY) $(if $(MLFLOW),$(MLFLOW_READY)) system $(if $(OBSERVABILITY),prometheus)  ## start the embedded stack and leave it running (MLFLOW=1, OBSERVABILITY=1: with an MLflow server, a Prometheus)
	$(STACK) up $(if $(MLFLOW),--mlflow) $(if $(OBSERVABILITY),--observability)

.PHONY: down
down:  ## stop the embedded stack; its data stay
	@test ! -x $(STACK) || $(STACK) down

.PHONY: status
status: $(READY)  ## each service, stream, lag, and the current dataset and model
	@$(STACK) status

.PHONY: clean
clean: down  ## stop the embedded stack and remove its data
	rm -rf .labelstream

.PHONY: bench
bench: $(READY) $(if $(filter serve video,$(NAME)),$(PEERS_READY),system)  ## run one benchmark, or list them: NAME=<name> (PAIRS=<n>; JSON=1: one JSON object on the last line)
	@$(PY) -m benchmarks $(NAME) $(if $(PAIRS),--pairs $(PAIRS)) $(if $(JSON),--json)

.PHONY: soak
soak: $(READY)  ## 100,000 requests of many kinds to inference, with swaps meanwhile: fails when memory grows (SOAK=<n>; JSON=1)
	@SOAK=$(or $(SOAK),100000) $(PY) -m benchmarks soak --strict $(if $(JSON),--json)

.PHONY: docs
docs: $(READY)  ## write the pages that are made from code
	$(PY) -m labelstream.events.document > docs/events.md
	$(PY) -m labelstream.wire.schema > docs/annotation-message.schema.json
	$(PY) -m augmenter.recipe_schema > docs/recipe.schema.json
	$(PY) -m labelstream.protection.schema > docs/bundle.schema.json
	$(PY) -m exporter.delivery.document > docs/api-exporter.json
	$(PY) -m inference.answering.document > docs/api-inference.json
	$(PY) -m deploy.observability.metrics_page > docs/metrics.md

.PHONY: secrets
secrets: $(READY)  ## generate in deploy/secrets what compose and Kubernetes need (PROJECTS="default harbour"); what is there stays
	$(STACK) secrets make $(PROJECTS:%=--project %)
	@grep -qs "^LABELSTREAM_SECRETS=" .env || printf '\nLABELSTREAM_SECRETS=./deploy/secrets\n' >> .env

.PHONY: dashboards
dashboards: $(READY)  ## write the Grafana dashboards from deploy/observability/dashboards
	$(PY) -m deploy.observability.dashboards

.PHONY: constraints
constraints: $(READY)  ## pin what new requirements bring (UPGRADE=1: pin everything afresh)
	$(UV_ENV) $(UV) pip compile --quiet --no-header --no-annotate --overrides overrides.txt \
		$(if $(UPGRADE),,-c constraints.txt) $(REQUIREMENTS) > .venv/pins.txt
	{ echo "# Every version that Labelstream is built and tested with. Made by \`make constraints\`."; \
		grep -v '^-e ' .venv/pins.txt | sed -E 's/(==[^+ ]+)\+[^ ]+/\1/'; } > constraints.txt
	printf '%s\n' mlflow flask-wtf > .venv/mlflow.in  # flask-wtf: its login
	$(UV_ENV) $(UV) pip compile --quiet --no-header --no-annotate --overrides overrides-mlflow.txt \
		$(if $(UPGRADE),,-c requirements-mlflow.txt) .venv/mlflow.in > .venv/pins.txt
	{ sed '/^[^#]/,$$d' requirements-mlflow.txt; cat .venv/pins.txt; } > .venv/mlflow.txt
	mv .venv/mlflow.txt requirements-mlflow.txt
	printf '%s\n' $(PEERS) > .venv/peers.in
	grep -v '^opentelemetry' constraints.txt > .venv/peers-constraints.txt  # bentoml pins its own
	$(UV_ENV) $(UV) pip compile --quiet --no-header --no-annotate --overrides overrides-peers.txt -c .venv/peers-constraints.txt \
		$(if $(UPGRADE),,-c requirements-peers.txt) .venv/peers.in > .venv/pins.txt
	{ sed '/^[^#]/,$$d' requirements-peers.txt; sed -E 's/(==[^+ ]+)\+[^ ]+/\1/' .venv/pins.txt; } > .venv/peers.txt
	mv .venv/peers.txt requirements-peers.txt
