# Every target makes .venv when it is missing, or when the lock or the dependencies changed.
# Needs make and Python 3.11 or newer; PYTHON=/path/to/python chooses another one.

PYTHON ?= $(firstword $(foreach name,python3 python3.13 python3.12 python3.11,\
	$(shell $(name) -c 'import sys; print("$(name)" * (sys.version_info >= (3, 11)))' 2>/dev/null)))
BIN := .venv/bin
STAMP := .venv/installed
NOTEBOOKS := 1_ANALYSIS 2_PREPROCESSING 3_MODELLING TUTORIALS
NBVAL := -p tests.nbval_patience --nbval-lax --nbval-current-env --nbval-sanitize-with tests/nbval_sanitize.cfg
SESSION ?= sample
FILE ?= DATA/ett/ETTh1.csv

# Several notebooks share the cores: threads that wait must sleep, or each slows down the others.
run test test-code test-notebooks refresh: export OMP_WAIT_POLICY = PASSIVE

.PHONY: help run test test-code test-notebooks lab refresh bench ett format lock
.DEFAULT_GOAL := help

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## */\t/' | expand -t 18

run: $(STAMP)  ## simulate the sample session (first time) and run the whole pipeline; SESSION=... for another
	$(BIN)/python -m utils.batch pipeline --session $(SESSION)

test: test-code test-notebooks  ## all tests: code, then every notebook

test-code: $(STAMP)  ## pytest
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m pytest -n 2 --dist loadfile

test-notebooks: $(STAMP)  ## execute every notebook and compare the tagged outputs
	$(BIN)/python -m pytest -n 2 --dist loadfile $(NBVAL) $(NOTEBOOKS)

lab: $(STAMP)  ## open JupyterLab
	$(BIN)/jupyter lab

refresh: $(STAMP)  ## execute the .py notebooks and rewrite their .ipynb twins
	$(BIN)/python -m utils.notebooks refresh

bench: $(STAMP)  ## benchmarks, printed as tables (not part of test)
	$(BIN)/python -m tests.benchmarks

ett: $(STAMP)  ## score the forecasters on ETT beside published figures; FILE=... for another than ETTh1
	$(BIN)/python -m utils.evaluation.ett $(FILE)

format: $(STAMP)  ## format and lint the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: $(STAMP)  ## write requirements.lock from the working environment, and environment.yml
	$(BIN)/pip freeze --exclude-editable | sed -E 's/^(torch==[0-9.]+)\+.*/\1/' > requirements.lock
	$(BIN)/python -m utils.environment

$(STAMP): pyproject.toml requirements.lock
	@test -n "$(PYTHON)" || { echo "mesotwin needs Python 3.11 or newer; none found (set PYTHON=...)"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --disable-pip-version-check -q -c requirements.lock -e ".[dev]"
	@touch $(STAMP)
