# Yingwei: `make run` shows a working day, `make test` checks everything. `make` lists the rest.

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
export PYTHON
# Several processes share the processors: an arithmetic library that takes all of them for one small
# product waits longer for the others than it computes.
export OPENBLAS_NUM_THREADS ?= 1
# Some surroundings tell Python to keep no compiled code. Then every process that a test starts, and
# every process of tests, compiles 1,200 files again, for seconds each time.
unexport PYTHONDONTWRITEBYTECODE

# A checkout that was moved or copied has a .venv whose scripts point to the old place.
ifneq ($(shell cat $(READY) 2>/dev/null),$(CURDIR))
$(shell rm -f $(READY))
endif

.DEFAULT_GOAL := help
.PHONY: help setup run demo test test-faults test-phones clients lint-openapi check types house bench bench-dispatch bench-suggestions openapi fmt lock clean

help:  ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(READY)  ## Make .venv from the pinned lock (every target below does this by itself)

$(READY): requirements.lock pyproject.toml .ci/setup
	@sh .ci/setup

run: $(READY)  ## Play one working day on a private database, then keep serving
	@$(BIN)/yingwei demo --keep

demo: $(READY)  ## The same on a throw-away database; exit code 0 when all is accounted for
	@$(BIN)/yingwei demo --throw-away

test: check  ## Everything: `make check`, then the tests on a real PostGIS
	@mkdir -p .local && rm -f .local/pytest-status
	@$(BIN)/python -m pytest -n 3 --dist worksteal --ignore=tests/house $(ARGS); \
	    status=$$?; echo $$status > .local/pytest-status; exit $$status

SEEDS ?= 20
SALES ?= 1000
test-faults: $(READY)  ## Sales through every fault, SEEDS times SALES of them; prints a table
	@YINGWEI_FAULT_SEEDS=$(SEEDS) YINGWEI_FAULT_SALES=$(SALES) $(BIN)/python -m pytest -n 0 -q \
	    tests/ordering/test_faults.py tests/ordering/test_kill.py $(ARGS)

test-phones: $(READY)  ## WatermelonDB's own client on four phones over a bad network (needs node)
	@$(BIN)/python -m tests.phones $(ARGS)

clients: $(READY)  ## TypeScript, Kotlin, Java clients from openapi.json into .local/clients; two live a visit
	@$(BIN)/python -m tests.clients $(ARGS)

lint-openapi: $(READY)  ## OWASP's and Zalando's rules on openapi.json, by Spectral (needs node)
	@$(BIN)/python -m tests.lint

check: $(READY)  ## Format, lint, types, import contracts, house rules, migration drift, OpenAPI
	@$(MAKE) --no-print-directory -j 2 types house

types: $(READY)
	$(BIN)/mypy

house: $(READY)
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	$(BIN)/lint-imports --no-logo
	$(BIN)/python -m pytest -q tests/house
	$(BIN)/yingwei openapi --check

bench: $(READY)  ## Speed, as ratios to a hand-written endpoint
	@$(BIN)/python -m benchmarks $(ARGS)

BENCH_LOCK := benchmarks/dispatch/requirements.lock
bench-dispatch: $(READY)  ## Day plans beside PyVRP, VROOM and OR-Tools (installs them into .venv)
	@$(BIN)/pip install -qq --disable-pip-version-check --require-hashes -r $(BENCH_LOCK)
	@$(BIN)/python -m benchmarks.dispatch $(ARGS)

bench-suggestions: $(READY)  ## What to offer, played in a simulated field beside perfect play
	@$(BIN)/python -m benchmarks.suggestions $(ARGS)

openapi: $(READY)  ## Write api_docs/openapi.json and api_docs/problems.md from the code
	@$(BIN)/yingwei openapi
	@$(BIN)/yingwei problems

fmt: $(READY)  ## Format the code and mend what ruff can mend
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format .

lock:  ## Pin the newest packages that pyproject.toml allows (needs uv)
	uv pip compile --quiet --upgrade --universal --generate-hashes --no-emit-index-url \
	    --no-emit-find-links --extra dev --python-version 3.11 \
	    --custom-compile-command "make lock" pyproject.toml -o requirements.lock
	python3 -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['project']\
	['optional-dependencies']['bench'], sep='\n')" | uv pip compile --quiet --upgrade --universal \
	    --generate-hashes --no-emit-index-url --no-emit-find-links --constraints requirements.lock \
	    --python-version 3.11 --custom-compile-command "make lock" - -o $(BENCH_LOCK)

clean:  ## Remove .venv and caches (the demo's data in .local stay)
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
