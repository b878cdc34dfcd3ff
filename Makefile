# make run    brings the results up to date      CONFIG=config/mine.yaml, CORES=4, PROFILE=slurm
# make test   everything that CI checks          TESTS=tests/statistics for a part, WORKERS=1 for one process
# make validation  whether the figures are true: hours, goes on where it was stopped   ROWS=intervals-cover for a part
# make ui     MLflow's page on loopback          PORT=5000
# make lock   resolves envs/requirements.in anew (needs uv)
# make clean  removes what was installed and built; results stay
#
# All paths are relative, so that the clone may lie in a folder with a space in its name.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

CONFIG ?= config/default.yaml
PROFILE ?= local
CORES ?=
PORT ?= 5000
TESTS ?= tests
WORKERS ?= auto
ROWS ?=
# Found among these if not given; only the version that the lock is tested with will do.
PYTHON ?=
CANDIDATES := python3.11 python3 python

VENV := .venv
BIN := $(VENV)/bin
PEERS := .venv-peers
CAPTUM := .captum
COMMAND := $(BIN)/python -m attribute_recovery.cli
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet --quiet
IS_3_11 := import sys; sys.exit(sys.version_info[:2] != (3, 11))

export MLFLOW_DISABLE_TELEMETRY := true
export DO_NOT_TRACK := true

.PHONY: help run test mypy pytest validation ui lock clean install

help:
	@sed -n 's/^# make/make/p' Makefile

run: install
	@$(COMMAND) run --config "$(CONFIG)" --profile "$(PROFILE)" $(if $(CORES),--cores "$(CORES)")

ui: install
	@$(COMMAND) ui --config "$(CONFIG)" --port "$(PORT)"

# Types beside tests, since a whole run of the workflow leaves a core idle now and then.
test: install
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m snakefmt --check Snakefile rules
	@$(MAKE) --no-print-directory -j 2 mypy pytest

mypy:
	$(BIN)/python -m mypy

# One process a core, each on one thread: threads of two processes on one core wait for each other.
# Tests that call make are not to find this one's jobs.
pytest:
	env -u MAKEFLAGS OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n $(WORKERS) --dist loadfile --durations=25 --doctest-modules --pyargs attribute_recovery $(TESTS)

validation: install $(PEERS)/requirements.txt $(CAPTUM)/requirements.txt
	$(BIN)/python -m benchmarks.validation $(ROWS:%=--only %) $(if $(CORES),--processes "$(CORES)")

# Published tools that the validation compares with; they want another numpy than the package.
$(PEERS)/requirements.txt: envs/benchmarks.txt | install
	@rm -rf $(PEERS); $(BIN)/python -m venv $(PEERS)
	@$(PEERS)/bin/python -m pip --disable-pip-version-check --quiet --quiet install --require-hashes -r envs/benchmarks.txt
	@cp envs/benchmarks.txt $@

# captum runs on the package's own torch and numpy, so it is installed alone, beside the environment and not into it.
$(CAPTUM)/requirements.txt: envs/validation-captum.txt | install
	@rm -rf $(CAPTUM)
	@$(PIP) install --no-deps --require-hashes --target $(CAPTUM) -r envs/validation-captum.txt
	@cp envs/validation-captum.txt $@

# The package is installed, never linked: what runs is what was installed, and again only when src/ has other content.
install: $(VENV)/requirements.txt
	@sums() { find pyproject.toml src -type f ! -name '*.pyc' ! -path '*.egg-info/*' -exec cksum {} + | sort; }; \
	if ! sums | cmp -s - $(VENV)/package.sums; then \
		rm -rf build; \
		$(PIP) install --no-deps --no-build-isolation --force-reinstall .; \
		rm -rf build src/attribute_recovery.egg-info; \
		sums > $(VENV)/package.sums; \
	fi

$(VENV)/requirements.txt: envs/requirements.txt
	@python="$(PYTHON)"; \
	for one in $(if $(PYTHON),,$(CANDIDATES)); do \
		if "$$one" -c "$(IS_3_11)" 2>/dev/null; then python="$$one"; break; fi; \
	done; \
	if [ -z "$$python" ] || ! "$$python" -c "$(IS_3_11)" 2>/dev/null; then \
		echo "Python 3.11 is needed and was not found$${python:+ at $$python}; install it, or say where it is: make PYTHON=/path/to/python3.11" >&2; \
		exit 1; \
	fi; \
	echo "Installing into $(VENV)/, which takes a few minutes once ..."; \
	if ! $(BIN)/python -c "$(IS_3_11)" 2>/dev/null; then rm -rf $(VENV); "$$python" -m venv $(VENV); fi; \
	rm -f $(VENV)/package.sums; \
	$(PIP) install --require-hashes -r envs/requirements.txt; \
	cp envs/requirements.txt $@

lock:
	uv pip compile --quiet --generate-hashes --python-version 3.11 --no-header --upgrade envs/requirements.in -o envs/requirements.txt
	uv pip compile --quiet --generate-hashes --python-version 3.11 --no-header --upgrade envs/benchmarks.in -o envs/benchmarks.txt
	uv pip compile --quiet --generate-hashes --python-version 3.11 --no-header --upgrade --no-deps envs/validation-captum.in -o envs/validation-captum.txt

clean:
	rm -rf $(VENV) $(PEERS) $(CAPTUM) build .cache .hypothesis .mypy_cache .pytest_cache .ruff_cache
