# The two main commands: `make demo` and `make test`. They need Python 3.11 or newer, its venv, and make.
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)
# Otherwise each of the many processes compiles everything again.
unexport PYTHONDONTWRITEBYTECODE

OURS := wallet_core wallet_grpc wallet_client wallet_console scheduler bank_stub walletctl
CODE := $(OURS) tests benchmarks tools packaging examples

.PHONY: help demo up test check docs format lint types contracts protos-fresh protos settings schema lock packages bench interop readme long storm mutants prod-check clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "  make %-12s %s\n", $$1, $$2 }'

demo: .venv/ready ## Start everything, show the main job, verify the ledger, stop
	@$(BIN)/walletctl demo

up: .venv/ready ## Start everything and keep it running; Ctrl-C stops it
	@$(BIN)/walletctl up

test: .venv/ready ## Run all tests on a PostgreSQL of their own
	@$(BIN)/python -m tests.run

check: .venv/ready lint types contracts protos-fresh docs test ## The gate: everything that CI runs

format: .venv/ready ## Format code and protos
	@$(BIN)/ruff check --fix --quiet $(CODE) || true
	@$(BIN)/ruff format --quiet $(CODE)
	@$(BIN)/buf format -w protos

docs: .venv/ready ## Build the documentation as a site in .wallet/site; a broken link fails
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet
	@echo "The site: .wallet/site/index.html"

lint:
	@$(BIN)/ruff format --check --quiet $(CODE) || { echo "Run \`make format\`."; exit 1; }
	@$(BIN)/ruff check --quiet $(CODE)
	@$(BIN)/buf lint
	@$(BIN)/buf format --diff --exit-code protos
	@$(BIN)/buf breaking protos --against protos/baseline.binpb
	@$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec docker-compose.yml

types:
	@$(BIN)/mypy $(CODE)

contracts:
	@$(BIN)/lint-imports --no-cache

protos-fresh: ## Fail if a generated file is not up to date
	@tools/protos_fresh
	@$(BIN)/python tools/generate_sync_client.py --check
	@$(BIN)/python tools/generate_api_docs.py --check
	@$(BIN)/python tools/generate_settings_docs.py --check

protos: .venv/ready ## Generate code and docs/api.md from the protos, and the sync client from the asyncio client
	@tools/generate_protos
	@$(BIN)/python tools/generate_sync_client.py
	@$(BIN)/python tools/generate_api_docs.py

settings: .venv/ready ## Generate docs/settings.md and .env.example from the settings
	@$(BIN)/python tools/generate_settings_docs.py

schema: .venv/ready ## Write wallet_core/storage/schema.sql, for readers, from the migrations
	@PYTHONPATH=. $(BIN)/python tools/dump_schema.py

# Our own client comes from this repository, not from an index.
COMPILE := uv pip compile --quiet --no-emit-package wallet-client --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header

lock: ## Rewrite both locks from pyproject.toml: hashes, all platforms, no addresses; the same versions for serving
	@$(BIN)/$(COMPILE) --upgrade --extra dev -o requirements.txt pyproject.toml
	@$(BIN)/$(COMPILE) --constraints requirements.txt --extra console -o requirements-serve.txt pyproject.toml

packages: .venv/ready ## Build the wheels of the server and of its client into dist/
	@rm -rf dist
	@$(BIN)/python -m hatchling build --target wheel --directory dist
	@cd packaging/wallet-client && $(CURDIR)/$(BIN)/python -m hatchling build --target wheel --directory $(CURDIR)/dist

bench: .venv/ready ## Measure: group commit, commission, events, overload, watching, pages of a long history, indexes of lists across wallets, payouts by one scheduler and by four, transfers beside a check of the ledger, the speed of that check
	@$(BIN)/python -m benchmarks.group_commit
	@$(BIN)/python -m benchmarks.commission
	@$(BIN)/python -m benchmarks.events
	@$(BIN)/python -m benchmarks.overload
	@$(BIN)/python -m benchmarks.watching
	@$(BIN)/python -m benchmarks.history
	@$(BIN)/python -m benchmarks.finding
	@$(BIN)/python -m benchmarks.drain
	@$(BIN)/python -m benchmarks.verifying
	@$(BIN)/python -m benchmarks.proving

interop: .venv/ready ## Call the service from Go, TypeScript and Java, with stubs made from the protos
	@WALLET_REQUIRE_ALL=1 $(BIN)/python -m pytest -q tests/interop

readme: .venv/ready ## Rewrite the outputs of the commands in README.md and docs
	@WRITE_OUTPUTS=1 $(BIN)/python -m pytest -q tests/e2e/test_documented_commands.py tests/e2e/test_tls_and_tokens.py

long: .venv/ready ## Run the long tests, and the money suite on an older PostgreSQL, through PgBouncer, and with a login with unusual settings
	@$(BIN)/python -m pytest -q -m long --timeout 3600
	@$(BIN)/python -m tests.surroundings

storm: .venv/ready ## Kill processes at random for SECONDS (600), recover, compare all ledgers; SEED replays one
	@$(BIN)/python -m tests.storm $(if $(SEED),--seed $(SEED)) $(if $(SECONDS),--seconds $(SECONDS))

prod-check: .venv/ready ## Start a production on this machine, move and pay out money over TLS, verify, stop
	@$(BIN)/python -m tests.prod_check

mutants: .venv/ready ## Put known mistakes into a copy of the product and check that tests find them
	@$(BIN)/python -m tests.mutants $(MISTAKE)

clean: ## Remove the virtual environment and the local service's state
	@rm -rf .venv .wallet tests/interop/*/gen tests/interop/*/node_modules tests/interop/*/target

# A stamp, because a venv that failed half-way leaves a folder behind. pip refuses hashed constraints together with
# `-e .`, so the lock goes first and our own package after it, without dependencies.
.venv/ready: requirements.txt pyproject.toml packaging/wallet-client/pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Python 3.11 or newer is needed. Try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "This Python cannot make a virtual environment. On Debian or Ubuntu: apt-get install python3-venv"; exit 1; }
	@echo "Installing into .venv (about a minute) …"
	@rm -rf .venv && $(PYTHON) -m venv .venv
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e packaging/wallet-client -e .
	@touch $@
