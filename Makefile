# What one types. Needs Python 3.11 or newer, make and a package index; every target gets the rest.
#
#   make demo                    the service with an invented county, in a browser
#   make test                    the quick tests, on SQLite and PostgreSQL
#   make help                    everything else

PYTHON ?=
PORT ?= 8080
PHONES_PORT ?= 8081
JOBS ?= 2
TESTS ?= tests
SCOPE ?= county
DATABASE ?= sqlite
WINDOW_SECONDS ?= 60
SEEDS ?= 500

VENV := .venv
RUN := $(VENV)/.stamp-run
DEV := $(VENV)/.stamp-dev
PYTEST := $(VENV)/bin/python -m pytest
CARRIERS := carriers or not (browser or bench or slow or faults or faults_long)
QUICK := not (browser or bench or slow or carriers or faults or faults_long)
SIM := $(VENV)/bin/python -m tests.sim --jobs $(JOBS)

export PYTHON

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test check bench job test-browser test-wheel test-sim sim-long test-faults faults-long \
        test-carriers test-all figures docs lock wheel secrets clean distclean

help:  ## Say what can be made.
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1|/' | \
	    while IFS='|' read -r target words; do printf '%-19s %s\n' "$$target" "$$words"; done
	@echo
	@echo '  PORT=8080 PHONES_PORT=8081   where the demo listens'
	@echo '  PYTHON=/path/to/python3      which Python makes $(VENV)'
	@echo '  TESTS=tests/core JOBS=2      which tests, and how many at a time'

demo: $(RUN)  ## Run the service with an invented county and simulated phones.
	@WARNSVC_PORT=$(PORT) WARNSVC_PHONES_PORT=$(PHONES_PORT) exec $(VENV)/bin/warnsvc demo

test: $(DEV)  ## Run the quick tests, on SQLite and PostgreSQL.
	@echo "Again: $(PYTEST) -n $(JOBS) -m '$(QUICK)' $(TESTS)"
	@$(PYTEST) -n $(JOBS) -m '$(QUICK)' $(TESTS)

check: $(DEV)  ## Read the code: ruff, mypy --strict, the import table.
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(PYTEST) tests/test_imports.py

bench: $(DEV)  ## Measure: a table, and build/bench.json.
	$(VENV)/bin/python -m tests.bench

job: $(DEV)  ## The main job on real regions: SCOPE=county|region DATABASE=sqlite|postgresql.
	$(VENV)/bin/python -m tests.bench.job $(SCOPE) --database $(DATABASE) \
	    --window-seconds $(WINDOW_SECONDS)

test-browser: $(DEV)  ## Run the stories in a headless Chromium.
	@command -v chromium >/dev/null 2>&1 || command -v chromium-browser >/dev/null 2>&1 || \
	    command -v google-chrome >/dev/null 2>&1 || \
	    scripts/debian.sh 'Tests in a browser' chromium
	@fc-list :lang=zh 2>/dev/null | grep -q . || \
	    scripts/debian.sh 'Chinese on the screenshots' fontconfig fonts-noto-cjk fonts-noto-core
	$(PYTEST) -m browser $(TESTS)

test-wheel: $(DEV)  ## Build the wheel, install it in an empty environment, run its demo.
	$(PYTEST) -m slow tests/test_packaging.py

test-sim: $(DEV)  ## Simulate: seeds, every crash point of small plans, planted mistakes.
	$(SIM) --scenario all --seeds 0:$(SEEDS)
	$(SIM) --sweep
	$(VENV)/bin/python -m tests.sim.mutants --jobs $(JOBS)
	$(VENV)/bin/python -m tests.sim.pg_world --seeds 0:9 --twice
	$(PYTEST) -m slow tests/sim

sim-long: $(DEV)  ## Simulate for an hour: 20,000 seeds, pairs of crash points.
	$(SIM) --scenario all --seeds 0:20000
	$(SIM) --double 20000
	$(VENV)/bin/python -m tests.sim.pg_world --seeds 0:200 --twice

test-faults: $(DEV)  ## Break real processes, databases, disks, clocks and networks: half an hour.
	@scripts/debian.sh 'Breaking what is real' postgresql libfaketime nftables iproute2 strace || true
	$(PYTEST) -m 'faults and not faults_long' -rs tests/faults

faults-long: $(DEV)  ## The same for hours: 300 kills over 100,000 sends, on each database.
	@scripts/debian.sh 'Breaking what is real' postgresql libfaketime nftables iproute2 strace || true
	$(PYTEST) -m faults_long -rs tests/faults
	$(VENV)/bin/python -m tests.faults.kill --sends 100000 --kills 300 --database postgresql
	$(VENV)/bin/python -m tests.faults.kill --sends 100000 --kills 300 --database sqlite

# Prism and Twilio's OpenAPI come from npm into build/npm when their tests first run.
test-carriers: $(DEV)  ## Hold every carrier to the same promises, a real Kannel and Prism (npm) among them.
	@scripts/debian.sh 'A real Kannel' kannel kannel-extras
	$(PYTEST) -m '$(CARRIERS)' -rs tests/carriers tests/channels

test-all: test check test-browser test-wheel test-sim test-faults test-carriers  ## Run everything there is.

figures: $(DEV)  ## Write what was measured last into docs/RELIABILITY.md.
	$(VENV)/bin/python scripts/reliability_page.py

docs: $(DEV)  ## Write the tables of docs/SETTINGS.md and of the README's carriers anew.
	$(VENV)/bin/python scripts/settings_table.py
	$(VENV)/bin/python scripts/carriers_table.py

lock:  ## Write the lock files anew.
	scripts/lock.sh "$$(scripts/find_python.sh "$(PYTHON)")"

wheel: $(DEV)  ## Build the wheel into dist/.
	$(VENV)/bin/python -m pip --disable-pip-version-check wheel --quiet --no-deps \
	    --no-build-isolation --wheel-dir dist .

secrets:  ## Make the secret files that docker-compose.yml wants; never overwrites one.
	@scripts/secrets.sh

clean:  ## Remove what was built and measured.
	rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -not -path './$(VENV)/*' -prune -exec rm -rf {} +

distclean: clean  ## Remove the virtual environment too.
	rm -rf $(VENV)

$(RUN): requirements.lock requirements-build.lock pyproject.toml scripts/venv.sh
	@scripts/venv.sh run

$(DEV): requirements-dev.lock pyproject.toml scripts/venv.sh
	@scripts/venv.sh dev
