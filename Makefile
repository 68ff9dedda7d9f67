# Every target does the set-up it needs by itself. The command is then .venv/bin/faultline.
# PYTHON picks the interpreter (3.11 or newer); ARGS is handed on: make demo ARGS="--lines 2000 --minutes 4"

PYTHON ?= python3
ARGS ?=
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
UV_VERSION := 0.13.9
UV := .tools/bin/uv
ENV := .venv/bin
export UV_PYTHON_DOWNLOADS := never
export UV_PROJECT_ENVIRONMENT := .venv
export PATH := $(PATH):/usr/sbin:/sbin

.DEFAULT_GOAL := help
.PHONY: help setup demo test check format dashboards clean \
  bench-daemon bench-probing bench-collectors bench-cpe bench-store bench-api bench-alerts bench-explain \
  bench-correlation bench-correlation-speed bench-correlation-quiet bench-anomalies

help:
	@echo "make setup       the Python environment (.venv) alone"
	@echo "make demo        the main job on a virtual provider (ARGS=\"--minutes 4\")"
	@echo "make test        everything the tests need, then all tests"
	@echo "make check       ruff, mypy --strict, import floors"
	@echo "make dashboards  build the Grafana dashboards from code"
	@echo "make bench-PART  a benchmark: see docs/benchmarks.md"

.tools/bin/uv:
	@config/setup/packages python
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11 ...")'
	$(PYTHON) -m venv .tools
	.tools/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

$(ENV)/.synced: pyproject.toml uv.lock | .tools/bin/uv
	$(UV) sync --frozen --quiet --python $(PYTHON)
	@touch $@

setup: $(ENV)/.synced

demo: setup
	@config/setup/packages demo
	$(ENV)/faultline demo $(ARGS)

test: setup
	@config/setup/packages test
	$(ENV)/pytest -n 2 --dist worksteal $(ARGS)

check: setup
	$(ENV)/ruff check .
	$(ENV)/ruff format --check .
	$(ENV)/mypy
	$(ENV)/lint-imports

format: setup
	$(ENV)/ruff check --fix .
	$(ENV)/ruff format .

dashboards: setup
	$(ENV)/python grafana/build.py

bench-daemon: setup
	@config/setup/packages demo
	$(ENV)/python -m benchmarks.daemon.steady $(ARGS)

.PHONY: bench-million
bench-million: setup
	$(ENV)/python -m benchmarks.daemon.million $(ARGS)

bench-probing: setup
	@config/setup/packages probing
	$(ENV)/python -m benchmarks.probing.compare $(ARGS)
	$(ENV)/python -m benchmarks.probing.truth
	$(ENV)/python -m benchmarks.probing.truth --family 6
	$(ENV)/python -m benchmarks.probing.lost
	$(ENV)/python -m benchmarks.probing.scale
	$(ENV)/python -m benchmarks.probing.detection
	$(ENV)/python -m benchmarks.probing.daily

bench-collectors: setup
	@config/setup/packages demo
	$(ENV)/python benchmarks/collectors/dns_rate.py

bench-cpe: setup
	@config/setup/packages demo
	$(ENV)/python -m benchmarks.cpe.agents
	$(ENV)/python -m benchmarks.cpe.rate $(ARGS)
	$(ENV)/python -m benchmarks.cpe.clients

bench-store: setup
	@config/setup/packages test
	$(ENV)/python benchmarks/store/bench.py $(ARGS)

bench-correlation: setup
	$(ENV)/python -m benchmarks.correlation_accuracy.run $(ARGS)

bench-correlation-speed: setup
	$(ENV)/python -m benchmarks.correlation_speed.speed $(ARGS)

bench-correlation-quiet: setup
	$(ENV)/python -m benchmarks.correlation_accuracy.faultfree $(ARGS)

bench-explain: setup
	$(ENV)/python -m benchmarks.attributes.run $(ARGS)

bench-api: setup
	$(ENV)/python benchmarks/api/lookup_rate.py $(ARGS)
	$(ENV)/python benchmarks/api/page_speed.py

bench-alerts: setup
	$(ENV)/python -m benchmarks.alerts.storm $(ARGS)

# PELT (ruptures) is a peer here and nowhere else.
bench-anomalies: setup
	$(UV) sync --frozen --quiet --group bench --python $(PYTHON)
	$(ENV)/python -m benchmarks.anomalies.run $(ARGS)
	$(ENV)/python -m benchmarks.anomalies.network

clean:
	rm -rf .venv .tools .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis artifacts
