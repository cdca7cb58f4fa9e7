# Every target that a person needs; `make help` lists them.

PYTHON ?= python3.11
SHELL := /bin/bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

# Hashed requirements, so that every machine installs the same bytes.
$(READY): requirements.txt pyproject.toml
	@pipelines/local/setup.sh $(PYTHON) $(VENV)
	$(BIN)/pip install --quiet --require-hashes --requirement requirements.txt
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z][a-z-]*:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 18

.PHONY: setup
setup: $(READY) ## make the virtual environment

# pyspark, whose package has all of Spark, for whom asks for it.
SPARK := $(VENV)/.spark

$(SPARK): images/spark/requirements.txt $(READY)
	$(BIN)/pip install --quiet --require-hashes --requirement $<
	touch $@

.PHONY: spark
spark: $(SPARK) ## install Spark; it needs Java 17 as well (Debian's openjdk-17-jre-headless)

.PHONY: run
run: $(READY) $(if $(filter spark,$(ENGINE)),spark) ## run the pipeline here: SOURCE=file, folder or s3:// URI, PARAMS="epochs=10 …" or a YAML file, RUNS=folder, ENGINE=spark
	@$(BIN)/alsolike run $${SOURCE:+--source "$$SOURCE"} $${PARAMS:+--params "$$PARAMS"} \
		$${RUNS:+--runs "$$RUNS"} $${ENGINE:+--engine "$$ENGINE"}

.PHONY: run-docker
run-docker: $(READY) ## run the pipeline here, each step in its image (make images): SOURCE, PARAMS and RUNS as for run
	@$(BIN)/alsolike run --docker $${SOURCE:+--source "$$SOURCE"} $${PARAMS:+--params "$$PARAMS"} \
		$${RUNS:+--runs "$$RUNS"}

.PHONY: tune
tune: $(READY) ## search the settings of training here, then run the pipeline with the best: SOURCE, PARAMS and RUNS as for run, and "trials=12 minutes=30"
	@$(BIN)/alsolike tune $${SOURCE:+--source "$$SOURCE"} $${PARAMS:+--params "$$PARAMS"} \
		$${RUNS:+--runs "$$RUNS"}

.PHONY: serve
serve: $(READY) ## serve the deployed model: PORT=8080, RUNS as for run
	@$(BIN)/alsolike serve $${PORT:+--port "$$PORT"} $${RUNS:+--runs "$$RUNS"}

.PHONY: compile
compile: $(READY) ## write the pipeline's YAML for runs here
	$(BIN)/alsolike compile --local

.PHONY: images
images: $(READY) ## build the images: IMAGES="data serve", REGISTRY= also names them for it, PLATFORM=, BASE_IMAGE=, NETWORK=
	@$(BIN)/alsolike images build $$IMAGES $${REGISTRY:+--registry "$$REGISTRY"} \
		$${PLATFORM:+--platform "$$PLATFORM"} $${BASE_IMAGE:+--base-image "$$BASE_IMAGE"} \
		$${NETWORK:+--network "$$NETWORK"}

.PHONY: push
push: $(READY) ## push the images to REGISTRY=, and lock the pipeline to their digests: IMAGES="data serve"
	@$(BIN)/alsolike images push --registry "$$REGISTRY" $$IMAGES

PYTEST := $(BIN)/pytest --numprocesses logical --maxprocesses 4 --dist loadfile

.PHONY: test
test: $(READY) ## run the tests but the slow ones, on up to four processors
	@tests/browser.sh
	$(PYTEST) --fast

.PHONY: test-all
test-all: $(READY) ## run all tests that need neither a Docker engine nor Kubeflow
	@tests/browser.sh
	$(PYTEST)

.PHONY: test-docker
test-docker: $(READY) ## run the tests that need a Docker engine
	$(BIN)/pytest -m docker

.PHONY: test-cluster
test-cluster: $(READY) ## run the tests that need Kubeflow: ENVIRONMENT=file, in a namespace that may be spoiled
	ALSOLIKE_TEST_CLUSTER="$$ENVIRONMENT" $(BIN)/pytest -m cluster

.PHONY: golden
golden: $(READY) ## accept the DAG as it is now, after its difference was read
	UPDATE_GOLDEN=1 $(BIN)/pytest --quiet tests/pipelines/test_policy.py -k change_of_the_dag

.PHONY: lint
lint: $(READY) ## check style and types, the Dockerfile, and that no secret is written down
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/hadolint images/Dockerfile
	@# Names of secrets and made-up ones. A requirement's hash looks like a secret and is none.
	$(BIN)/detect-secrets-hook $$(git ls-files -- ':!*requirements.txt') \
		--exclude-secrets '^(alsolike-.*|AWS_SECRET_ACCESS_KEY|FILL-IN|keys|nonesuch|AKIAABCDEFGHIJKLMNOP)$$'

.PHONY: audit
audit: $(READY) ## look up known vulnerabilities of what the images hold: OSV_URL= for a server other than OSV's
	@$(BIN)/alsolike images audit $${OSV_URL:+--osv-url "$$OSV_URL"}

.PHONY: sbom
sbom: $(READY) ## write what the images are made of to dist/sbom, in CycloneDX
	@$(BIN)/alsolike images sbom

.PHONY: format
format: $(READY) ## write the code in the common style
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

LOCK := $(BIN)/uv pip compile --quiet --python-version 3.11 --generate-hashes --no-emit-index-url \
	--no-annotate --no-header --no-strip-extras
# An image has the versions that the tests ran with.
LOCK_IMAGE := $(LOCK) --constraint requirements.txt

.PHONY: requirements
requirements: $(READY) ## lock the dependencies of pyproject.toml again, and those of the images
	$(LOCK) pyproject.toml --extra dev --output-file requirements.txt
	$(LOCK_IMAGE) pyproject.toml --extra data --extra tuning --output-file images/data/requirements.txt
	$(LOCK_IMAGE) pyproject.toml --extra data --extra spark --output-file images/spark/requirements.txt
	$(LOCK_IMAGE) pyproject.toml --extra serve --extra deploy --output-file images/serve/requirements.txt
	$(LOCK_IMAGE) pyproject.toml --extra train --output-file images/train-cpu/requirements.txt
	$(LOCK_IMAGE) pyproject.toml --extra train-gpu --output-file images/train-gpu/requirements.txt
	echo hatchling | $(LOCK_IMAGE) - --output-file images/build/requirements.txt
	echo kfp | $(LOCK_IMAGE) --no-deps - --output-file images/kfp/requirements.txt

.PHONY: clean
clean: ## remove what the targets made, your runs excepted
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage

.PHONY: bench-evaluate
bench-evaluate: $(READY) ## time the evaluation of 100,000 customers and 50,000 products
	$(BIN)/python -m benchmarks.evaluate

.PHONY: bench-quality
bench-quality: $(READY) ## compare predictions and rankings with those of other libraries
	$(BIN)/python -m benchmarks.quality $${EXTRA:+--extra "$$EXTRA"}

.PHONY: bench-data
bench-data: $(READY) ## time ingest and prepare of 4 million ratings beside the notebook's pandas
	$(BIN)/python -m benchmarks.data

.PHONY: bench-train
bench-train: $(READY) ## time training beside the notebook's loop and PyTorch
	$(BIN)/python -m benchmarks.train

.PHONY: bench-serve
bench-serve: $(READY) ## time the server beside nginx, uvicorn, Granian, KServe and the notebook's hosting
	$(BIN)/python -m benchmarks.serve

.PHONY: bench-images
bench-images: $(READY) ## measure the images that the engine has
	$(BIN)/python -m benchmarks.images
