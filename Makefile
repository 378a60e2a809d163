# Everything a person or CI runs. Each target sets up what it needs; a fresh clone needs only Python >= 3.11, make and g++.
#
#   make demo    the whole way on the example corpus, offline after set-up
#   make test    all tests
#   make check   format, lint, types, Dockerfile, compose file, import direction, docs
#   make flink   Beam's Flink job server for `--runner flink`, by Maven; Java 17 runs it
#   make prism   Beam's portable runner in Go, which one test runs on
#
# PYTHON=python3.12 picks another interpreter; TORCH_BACKEND=cpu installs torch without CUDA where uv can reach such an index.
# EXTRAS=gcp or s3 adds what object stores and Dataflow need.

PYTHON ?= python3
TORCH_BACKEND ?=
EXTRAS ?=
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/python -m uv
STAMP := $(VENV)/.installed$(if $(EXTRAS),-$(EXTRAS))

.PHONY: setup demo test check format lock up down flink prism docker-check clean

setup: $(STAMP)

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python >= 3.11 is needed, this is " + sys.version.split()[0])'
	@command -v $${CXX:-c++} >/dev/null || command -v g++ >/dev/null || { echo "a C++ compiler is needed (fasttext is built from source): install g++ or clang"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(UV) --version >/dev/null 2>&1 || $(BIN)/python -m pip install --quiet uv
	$(UV) pip install --quiet --python $(BIN)/python $(if $(TORCH_BACKEND),--torch-backend $(TORCH_BACKEND)) -r requirements.lock
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --editable .
	$(if $(EXTRAS),$(UV) pip install --quiet --python $(BIN)/python --constraint requirements.lock --editable ".[$(EXTRAS)]")
	$(BIN)/ctllm setup
	@touch $(STAMP)

demo: setup
	$(BIN)/ctllm demo

test: setup
	$(BIN)/python -m pytest -n auto --maxprocesses 4

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy -p ctllm
	$(BIN)/hadolint docker/Dockerfile
	$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec docker/compose.yaml
	$(UV) pip check --quiet --python $(BIN)/python
	$(BIN)/python -m pytest -q tests/test_architecture.py tests/test_docs.py

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: setup
	$(UV) pip compile --quiet --universal --python-version 3.11 --extra dev --no-header --no-annotate --no-emit-index-url pyproject.toml -o requirements.lock

up: setup
	$(BIN)/ctllm up

down:
	$(BIN)/ctllm down

flink: setup # goes where `--runner flink` starts it from
	@command -v mvn >/dev/null || { echo "Maven is needed (apt-get install maven openjdk-17-jre-headless)"; exit 8; }
	@jars=$$($(BIN)/python -m ctllm.pipelines.portable_services) && rm -rf "$$jars" && \
	    mvn -q -B -f docker/flink/pom.xml org.apache.maven.plugins:maven-dependency-plugin:3.6.0:copy-dependencies \
	        -DincludeScope=runtime -DoutputDirectory="$$jars" && echo "Beam's Flink job server is in $$jars"

prism: setup # goes where Beam looks for it
	GOBIN=$(HOME)/.apache_beam/cache/prism/bin go install github.com/apache/beam/sdks/v2/go/cmd/prism@v$(shell sed -n 's/^apache-beam==//p' requirements.lock)

docker-check: # builds the images without an engine; root, buildah, debootstrap, 15 GB
	docker/check.sh

clean:
	rm -rf $(VENV) .demo build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache
