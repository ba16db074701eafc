# Each target is a short line that calls something else. `make setup` does all of the set-up, and is quick when it is done.
.DEFAULT_GOAL := help
.PHONY: help setup setup-tests demo test lint format lab hooks bench clean
BIN := .venv/bin
WORKFLOWS := .github/workflows/*.yml examples/caller-workflows/*.yml
# Byte code is kept: without it every process compiles every import anew, and everything takes twice as long.
unexport PYTHONDONTWRITEBYTECODE

help:            ## show this list
	@grep -E '^[a-z]+: .*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /make \1\t/' | expand -t 14

setup:           ## install everything that is needed, here and (through apt, where it may) on the machine
	@scripts/setup.sh

setup-tests:     # the same, with what the tests alone need
	@scripts/setup.sh tests

demo: setup      ## run the main job on this machine: from zips to the leaderboard
	@$(BIN)/brainscore-ops demo

test: setup-tests lint ## run lint and all tests
	@$(BIN)/python -m pytest

lint: setup      ## ruff, mypy --strict, import-linter, nbstripout, and the workflows by actionlint, zizmor and their schema
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache
	@git ls-files '*.ipynb' | xargs $(BIN)/nbstripout --verify
	@$(BIN)/actionlint -shellcheck $(BIN)/shellcheck $(WORKFLOWS)
	@$(BIN)/zizmor --offline --no-progress --quiet $(WORKFLOWS)
	@$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-workflows $(WORKFLOWS)

format: setup    ## format the code
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

lab: setup       ## open JupyterLab on notebooks, records and scores
	@scripts/lab.sh

hooks: setup     ## teach this clone's git about notebooks: outputs stripped as they are committed, differences by cell
	@scripts/hooks.sh

bench: setup     ## measure
	@for bench in tests/bench/bench_*.py; do $(BIN)/python $$bench; done

clean:           ## remove what the demo made: services, state, records
	@if [ -x $(BIN)/brainscore-ops ]; then $(BIN)/brainscore-ops down --remove; fi
	@rm -rf .state outputs/local
