# One command per job, the same here and in CI. Each sets up what it needs in .venv.
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
.DEFAULT_GOAL := help

.PHONY: help demo test crash lint types imports bench bench-audience bench-send pictures clients lock serve clean

help:            ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 16

.venv/runtime: requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

.venv/dev: .venv/runtime requirements-dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@

demo: .venv/runtime   ## the whole pipeline on the sample publication, in a throw-away workspace
	$(BIN)/newsletter demo

test: .venv/dev       ## lint, types, import contract and every test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo 2>&1 | tail -n 20; exit $${PIPESTATUS[0]}
	$(BIN)/python -m pytest -n auto -rs

crash: .venv/dev      ## kill sends at random moments, 200 times and more; the table of docs/reliability.md
	$(BIN)/python -m tests.reliability --write docs/reliability.md

serve: .venv/runtime  ## the public pages of the publication in this directory
	$(BIN)/newsletter serve

bench: .venv/dev      ## compose against npm mjml + juice, plan and send to the outbox
	$(BIN)/python -m bench

bench-audience: .venv/dev ## a million people: import, rules, membership, erase, export, on both databases
	$(BIN)/python -m bench audience

bench-send: .venv/dev ## sending beside Postfix's own load generator, DKIM, SendGrid, planning a million
	$(BIN)/python -m bench send

pictures: .venv/dev   ## README pictures, contact sheet, looks, references of tests/browser (needs chromium)
	$(BIN)/python docs/pictures.py

clients: .venv/runtime ## what mail programs support, fetched again from caniemail's data (needs npm)
	$(BIN)/python docs/clients.py

lock:                 ## pin every dependency again (needs uv); names no index
	uv pip compile pyproject.toml --group build --extra postgresql --universal --generate-hashes \
	    --no-emit-index-url --no-emit-find-links --no-header -q -o requirements.lock
	uv pip compile pyproject.toml --group dev --extra postgresql --universal --generate-hashes -c requirements.lock \
	    --no-emit-index-url --no-emit-find-links --no-header -q -o requirements-dev.lock

clean:                ## what commands made: environments, databases, outbox
	rm -rf .venv var bench/node/node_modules dist
