# Everything that a checkout needs, from a machine that has Python, make and git; uv is used where it is there.
PYTHON ?= python3
BIN := .venv/bin
CONSTRAINTS := deploy/constraints.txt
UV := $(shell command -v uv 2>/dev/null)
CRASHES := $(wildcard tests/cluster/test_crash_*.py)

# Each of a thousand processes that the tests start would compile everything for itself.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test coverage lint bench storm screenshots clean

demo: .venv/ready
	@$(BIN)/python examples/demo.py $(if $(ONCE),--once)

# Those that kill at every moment keep all of the machine busy by themselves; the others do not mind each other.
test: .venv/ready
ifdef ARGS
	$(BIN)/python -m pytest $(ARGS)
else
	$(BIN)/python -m pytest $(CRASHES)
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile $(filter-out $(CRASHES),$(wildcard tests/cluster/test_*.py))
	$(BIN)/python -m pytest --numprocesses 3 --dist loadfile tests/browser tests/integration tests/unit
endif

coverage: .venv/ready
	$(BIN)/coverage erase
	$(BIN)/python -m pytest --cov --cov-report=
	$(BIN)/coverage report --format=total

lint: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: .venv/ready
	$(BIN)/python -m tests.benchmarks

screenshots: .venv/ready
	$(BIN)/python -m tests.browser.screenshots docs/screenshots

storm: .venv/ready
	STORM=20000 $(BIN)/python -m pytest tests/cluster/test_storm.py $(ARGS)

clean:
	rm -rf .venv .demo dist .coverage* .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache

.venv/ready: pyproject.toml $(CONSTRAINTS)
ifdef UV
	$(UV) venv --quiet --allow-existing --python "$(PYTHON)" .venv
	$(UV) pip install --quiet --python $(BIN)/python --constraint $(CONSTRAINTS) --editable '.[dev]'
else
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint $(CONSTRAINTS) --editable '.[dev]'
endif
	@touch $@
