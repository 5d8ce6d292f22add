# The project's verbs. Each installs what it needs, says what it does, and can be run twice.
.DEFAULT_GOAL := help
.PHONY: help demo test lint fmt generate images mutants prove fuzz bench bench-backups bench-billing bench-columns bench-operator cluster-up cluster-down cluster-status

help: ## Show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## /\1\t/' | expand -t 18

demo: ## Bring up a cluster, install Payplane, move money, tell the story
	@tests/e2e/demo.sh

test: ## Run every test and print where the time went
	@tests/run.sh

lint: ## Format, clippy, licences and sources, shell scripts
	@tests/lint.sh

fmt: ## Format the code
	@cargo fmt --all

generate: ## Write the CRDs from their types into crds/, the chart and the table of kinds
	@cargo run --quiet --package payplane-crds --bin crdgen crds charts/payplane/files/crds docs/conventions.md

images: ## Build the container images and load them into the local cluster
	@tests/e2e/cluster/images.sh

mutants: ## Show that the tests can fail: break one rule at a time
	@tests/mutants.sh

prove: ## Run the tests that prove money at full size and write docs/proof.md
	@tests/prove.sh

fuzz: ## Hold the readers of foreign input to what libFuzzer makes up
	@tests/fuzz.sh

bench: ## Payments per second over gRPC beside pgbench, the raw limit and an empty call, in one run
	@tests/bench.sh payments

bench-backups: ## What copies and the stored log cost payments, what a loss would lose, and how long until the ledger is back
	@tests/bench.sh backups

bench-billing: ## Usage of others beside a plain COPY, and payments while periods are closed, ten thousand at once too
	@tests/bench.sh billing

bench-columns: ## What columns, ids and indexes of the ledger's tables cost
	@tests/bench.sh columns

bench-operator: ## Ten thousand Payments and a thousand Tenants: what they cost, beside a raw client
	@tests/e2e/bench.sh

cluster-up: ## Start the local Kubernetes cluster
	@tests/e2e/cluster/up.sh

cluster-down: ## Stop it and remove all that it made
	@tests/e2e/cluster/down.sh

cluster-status: ## Show what runs
	@tests/e2e/cluster/status.sh
