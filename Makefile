# `make demo` shows the main job on a real Asterisk; `make test` proves it. Both install what they need.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check

.PHONY: help install dev demo test test-calm test-with-asterisk test-wiring test-weather test-rules test-first test-second test-wire test-rest test-web kills check fast-first fast-rest lint bench audit requirements clean

help: ## This list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

install: $(VENV)/.base ## Make .venv with the perezvon command

$(VENV)/.base: requirements/base.txt requirements/build.txt pyproject.toml
	PYTHON=$(PYTHON) scripts/packages base
	$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	$(PIP) install --progress-bar on --require-hashes -r requirements/base.txt -r requirements/build.txt
	$(PIP) install --quiet --no-deps --no-build-isolation -e .
	touch $@

dev: $(VENV)/.dev

$(VENV)/.dev: $(VENV)/.base requirements/dev.txt
	$(PIP) install --progress-bar on --require-hashes -r requirements/dev.txt
	touch $@

demo: install ## Real Asterisk, pretend Bitrix24, real calls. ONCE=1 ends by itself
	PYTHON=$(PYTHON) scripts/packages demo
	$(BIN)/perezvon sandbox demo $(if $(ONCE),--once)

lint: dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright src
	$(BIN)/lint-imports

# Modules of tests are compiled once, whatever the machine says about that: it is a third of the fast part.
unexport PYTHONDONTWRITEBYTECODE

# Several things at the same time, each told when it is over. A new folder of tests falls into the last part.
FIRST := $(addprefix tests/,asterisk bitrix24 calls rules)
SECOND := $(addprefix tests/,delivery storage)
FAST := $(BIN)/pytest -q -p no:cacheprovider -p no:schemathesis --hypothesis-profile=quick -m "not asterisk and not postgresql and not mariadb and not browser and not slow and not load"

check: dev ## The fast part: style, types, floors, tests without servers (under a minute)
	$(MAKE) --no-print-directory --jobs 3 --output-sync fast-rest fast-first lint

fast-first: dev
	$(FAST) $(FIRST) $(SECOND)

fast-rest: dev
	$(FAST) $(FIRST:%=--ignore=%) $(SECOND:%=--ignore=%) --ignore=tests/e2e tests

test: ## Everything: also the real Asterisk, PostgreSQL, Chromium, load and kill tests
	PYTHON=$(PYTHON) scripts/packages test
	$(MAKE) --no-print-directory dev
	$(BIN)/python -m perezvon.sandbox.pbx --only-make
	$(BIN)/python -m compileall -q src
	calm=0; $(MAKE) --no-print-directory test-calm || calm=$$?; \
	$(MAKE) --no-print-directory --jobs 5 --keep-going --output-sync test-weather test-rules test-with-asterisk test-wiring test-second test-wire test-web test-rest test-first lint && exit $$calm

# Most of the time with the real Asterisk goes by in talk: several at the same time fit beside one another. (The service is
# started hundreds of times: what it consists of is compiled once, above.)
WEATHER := $(addprefix tests/e2e/test_,absence.py kill.py outages.py own_weather.py portal_limits.py weather_of_portal.py wiring_paced.py wiring_unrecorded.py)

# What our dialplan does: menu, consultation, room.
WIRING := $(addprefix tests/e2e/test_,wiring.py wiring_older.py wiring_installed.py menu_dialplan.py menu_told.py room_control.py conference_http.py agi.py document_004.py)

# What document 000 demands, line by line.
RULES := $(wildcard tests/e2e/test_document_000_*.py)

# A score of conferences around one blow, each second of which is listened to: nothing beside them.
CALM := tests/e2e/test_conference_killed.py

test-calm: dev
	$(BIN)/pytest -p no:cacheprovider $(CALM)

test-with-asterisk: dev
	$(BIN)/pytest -p no:cacheprovider --durations=25 -m asterisk $(addprefix --ignore=,$(CALM) $(WEATHER) $(WIRING) $(RULES))

test-wiring: dev
	$(BIN)/pytest -p no:cacheprovider --durations=25 -m asterisk $(WIRING)

test-weather: dev
	$(BIN)/pytest -p no:cacheprovider --durations=25 -m asterisk $(wildcard $(WEATHER))

test-rules: dev
	$(BIN)/pytest -p no:cacheprovider --durations=10 -m asterisk $(RULES)

# Five calls a second at the portal's limit: how soon a card comes is looked at, though without a PBX.
WIRE := tests/delivery/test_over_the_wire.py

test-wire: dev
	$(BIN)/pytest -p no:cacheprovider --durations=5 $(WIRE)

# What does not listen to the clock gives way to what does.
WITHOUT := nice -n 10 $(BIN)/pytest -p no:cacheprovider --durations=10 -m "not asterisk"

test-first: dev
	$(WITHOUT) $(FIRST)

test-second: dev
	$(WITHOUT) --ignore=$(WIRE) $(SECOND)

test-web: dev
	$(WITHOUT) tests/web

test-rest: dev
	$(WITHOUT) $(FIRST:%=--ignore=%) $(SECOND:%=--ignore=%) --ignore=tests/web tests

kills: dev ## 100 kills under mixed traffic, compared with the PBX's own records (ten minutes)
	PEREZVON_KILLS=100 $(BIN)/pytest -p no:cacheprovider tests/e2e/test_kill.py

bench: dev ## Speed and memory, each beside a yardstick
	PYTHON=$(PYTHON) scripts/packages test
	$(BIN)/python -m benchmarks

audit: dev ## Known holes in the dependencies (asks the package index)
	$(BIN)/pip-audit --strict --require-hashes --disable-pip -r requirements/base.txt

requirements: dev ## Pin the dependencies anew (hashes, no URLs)
	$(BIN)/python scripts/pin.py

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache .hypothesis test-results
