# Everything one does in a checkout. Needs python3 >= 3.11 with venv, and make.
.DEFAULT_GOAL := help
.PHONY: help demo test lint types fmt bench browser-test kafka-test kafka elasticsearch-test \
	elasticsearch lock venv venv-dev styles mutants secrets chaos chaos-simulation chaos-processes \
	chaos-operations

PYTHON ?= python3
DEMO ?=
BENCH ?=
TESTS ?=
PROCESSES ?= 2
SEEDS ?= 1000
FROM_SEED ?= 1
OPERATIONS ?= 200
MINUTES ?= 60
SEED ?=
TIMES ?= 5
BIN := .venv/bin
CODE := accounts cockpit consumers customers events ops sins tests manage.py conftest.py
# Needs more than Python: run by their own targets and in CI.
HEAVY := kafka or elasticsearch or browser
KAFKA_LIB := $(or $(SINS_KAFKA_LIB),.sins/kafka/lib)
ELASTICSEARCH := $(or $(SINS_ELASTICSEARCH),.sins/elasticsearch)

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

venv:
	@PYTHON=$(PYTHON) ops/bootstrap.sh demo

venv-dev:
	@PYTHON=$(PYTHON) ops/bootstrap.sh dev

demo: venv ## Start three locations with real input (DEMO="--fresh", DEMO="--kafka")
	@exec $(BIN)/python manage.py demo $(DEMO)

secrets: venv ## Make the secrets docker compose gives out (LOCATIONS="loc1=https://… loc2=…")
	@$(BIN)/python -m ops.docker.secrets $(or $(SINS_SECRETS),.sins/secrets) $(LOCATIONS)

test: venv-dev ## Run the tests on an embedded PostgreSQL (TESTS=path runs some)
	$(BIN)/pytest -m "not ($(HEAVY))" -n $(PROCESSES) \
		$(or $(TESTS),--cov --cov-report=term:skip-covered)

kafka: venv-dev ## Fetch a Kafka broker (Maven, 43 MB, once)
	@ls $(KAFKA_LIB)/kafka_2.13-*.jar >/dev/null 2>&1 || { \
		command -v mvn >/dev/null || { echo "Fetching Kafka needs Maven (mvn)." >&2; exit 2; }; \
		echo "Fetching Kafka's jars into $(KAFKA_LIB): about 43 MB, once."; \
		mvn -q -B -f ops/kafka/pom.xml dependency:copy-dependencies \
			-DoutputDirectory="$(abspath $(KAFKA_LIB))"; }

kafka-test: kafka ## Run the tests that need a real Kafka
	$(BIN)/pytest -m kafka $(TESTS)

elasticsearch: venv-dev ## Fetch an Elasticsearch (Maven, 99 MB, once; it needs a JDK 21 or later)
	@ls $(ELASTICSEARCH)/elasticsearch-*/bin/elasticsearch >/dev/null 2>&1 || { \
		command -v mvn >/dev/null || { echo "Fetching Elasticsearch needs Maven (mvn)." >&2; exit 2; }; \
		echo "Fetching Elasticsearch into $(ELASTICSEARCH): about 99 MB, once."; \
		mvn -q -B -f ops/elasticsearch/pom.xml dependency:unpack \
			-DoutputDirectory="$(abspath $(ELASTICSEARCH))"; }

elasticsearch-test: elasticsearch ## Run the tests that need a real Elasticsearch
	$(BIN)/pytest -m elasticsearch $(TESTS)

styles: ## Check that the committed styles and vendored scripts are those of package.json
	npm install --no-save --no-audit --no-fund --silent
	npm run --silent check

mutants: venv-dev ## Change the core in known ways and see each noticed by its test
	$(BIN)/python -m tests.mutants

chaos: chaos-simulation chaos-processes ## Break everything: SEEDS=1000 simulated, then MINUTES=60 of real processes

chaos-simulation: venv-dev ## Simulate (SEEDS=1000 FROM_SEED=1 OPERATIONS=200)
	$(BIN)/python -m ops.chaos.simulation --seeds $(SEEDS) --from-seed $(FROM_SEED) \
		--operations $(OPERATIONS) --keep-going --resume

chaos-processes: kafka ## Kill, cut and fill real processes (MINUTES=60 SEED=drawn)
	$(BIN)/python -m ops.chaos.processes --minutes $(MINUTES) $(if $(SEED),--seed $(SEED))

chaos-operations: kafka ## Restore, wipe, upgrade, change keys, join while all write (TIMES=5 SEED=drawn)
	$(BIN)/python -m ops.chaos.processes --times $(TIMES) $(if $(SEED),--seed $(SEED)) \
		--only restored --only "broker wiped" --only upgraded --only "key changed" --only joined

browser-test: venv-dev styles ## Run the tests that need Chromium
	$(BIN)/pytest -m browser $(TESTS)

types: venv-dev ## Check the types
	$(BIN)/mypy $(CODE)

lint: venv-dev ## Check style, types, layers, templates, dependencies, dead code, migrations
	$(BIN)/ruff check $(CODE)
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/mypy $(CODE)
	PYTHONPATH=. $(BIN)/lint-imports
	$(BIN)/djlint --lint --quiet accounts cockpit customers
	$(BIN)/deptry .
	$(BIN)/vulture
	DJANGO_SETTINGS_MODULE=tests.settings $(BIN)/python -W ignore::RuntimeWarning \
		manage.py makemigrations --check --dry-run

fmt: venv-dev ## Format code and templates
	$(BIN)/ruff check --fix-only --quiet $(CODE)
	$(BIN)/ruff format $(CODE)

bench: venv-dev ## Measure, into docs/performance.md; an ended run goes on (BENCH=--fresh)
	$(BIN)/python -m ops.bench --only speed $(BENCH)
	$(BIN)/python -m ops.bench

lock: venv-dev ## Compile the requirements again (UPGRADE=--upgrade for newer releases)
	$(LOCK) requirements.in -o requirements.txt
	$(LOCK) requirements-dev.in -o requirements-dev.txt -c requirements.txt
	$(LOCK) requirements-observing.in -o requirements-observing.txt -c requirements-dev.txt
	$(LOCK) requirements-demo.in -o requirements-demo.txt --no-deps

LOCK = $(BIN)/uv pip compile --quiet --generate-hashes --no-emit-index-url --no-header \
	--universal --python-version 3.11 $(UPGRADE)
