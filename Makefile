# Two commands for a newcomer: `make demo` and `make test`. Everything lives in .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: setup demo test lint bench frontend screenshots clean
setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet -c constraints.txt torch
	$(BIN)/python -m pip install --quiet -c constraints.txt -e . --group dev
	touch $@

demo: $(STAMP)
	$(BIN)/histocerb demo --out demo

lint: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# A real cluster has a process of its own: Ray's client has hung in one that had run other tests.
OF_RAY := tests/inference/cluster/test_ray.py
test: lint
	$(BIN)/pytest $(OF_RAY)
	$(BIN)/pytest -n 2 --dist loadfile --ignore=$(OF_RAY)

# The pages of the viewer; what is built is committed, so that only who changes them needs node.
frontend:
	cd frontend && npm ci && npm test && npm run build

screenshots: $(STAMP)
	$(BIN)/python tests/web/screenshots.py

bench: $(STAMP)
	$(BIN)/python -m benchmarks

clean:
	rm -rf $(VENV)
	find . -name __pycache__ -prune -exec rm -rf {} +
