# `make help` lists the targets. The two that matter first: make demo, make test.

SHELL := /usr/bin/env bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

GO      ?= go
ARGS    ?=
# Part of `sallyport version`.
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
LDFLAGS := -X main.version=$(VERSION)
# Packages without cgo below them: the race detector builds them in seconds.
RACE    := ./audit/... ./internal/loop/... ./internal/identity/... ./internal/config/... ./internal/pgframe/... ./internal/tlsconf/... ./internal/balancer/...
# How long `make fuzz` spends on each target, and `make fuzz-twin` on all.
FUZZTIME ?= 30s

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: deps-test
deps-test: ## install what demo and tests need: PostgreSQL, a C compiler
	@scripts/deps.sh test

.PHONY: deps
deps: ## install what everything needs: pgbouncer and sqlsmith too
	@scripts/deps.sh all

.PHONY: build
build: ## build bin/sallyport, and bin/sallyport-verify for auditors
	@$(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/sallyport ./cmd/sallyport
	@CGO_ENABLED=0 $(GO) build -trimpath -o bin/sallyport-verify ./cmd/sallyport-verify

.PHONY: demo
demo: ## a seeded database behind the gateway, ready to try (ARGS=--tour: a guided tour)
	@scripts/deps.sh build
	@echo "building sallyport (the first time takes a minute or two: the SQL parser is C)" >&2
	@$(MAKE) --no-print-directory build
	@bin/sallyport demo $(ARGS)

.PHONY: first-row
first-row: ## at a demo that runs: the seconds from nothing to the first row in psql
	@scripts/first-row.sh

.PHONY: test
test: deps-test ## every test, against a real PostgreSQL
	@d=$${SALLYPORT_CORPORA:-../shared/corpora}; [ -d "$$d" ] || echo "NO CORPUS: $$d is not there, so the tests that read it are skipped" >&2
	@d=$${XDG_CACHE_HOME:-$$HOME/.cache}/sallyport-test/providers; [ -x "$$d/dex" ] && [ -d "$$d/node_modules" ] || echo "NO PROVIDERS: node's oidc-provider and dex are skipped, \`make providers\` installs them" >&2
	$(GO) test -timeout 20m ./...
	CGO_ENABLED=1 $(GO) test -race -short -timeout 5m $(RACE)

.PHONY: race
race: deps-test ## every test under the race detector (rebuilds the SQL parser: minutes)
	CGO_ENABLED=1 $(GO) test -race -timeout 30m ./...

.PHONY: check
check: ## formatting, vet, staticcheck, import rules, tidy go.mod, short tests
	@fmt=$$(gofmt -l $$(git ls-files -co --exclude-standard '*.go')); if [ -n "$$fmt" ]; then echo "gofmt wants to change:" $$fmt; exit 1; fi
	$(GO) vet ./...
	$(GO) tool staticcheck ./...
	$(GO) mod tidy -diff
	$(GO) test ./internal/archtest
	$(GO) test -short -timeout 15m ./...

.PHONY: bench
bench: deps build ## speed beside pgbouncer and direct connections, as ratios
	$(GO) run ./evals/cmd/bench $(ARGS)
	$(GO) run ./evals/cmd/report

.PHONY: bench-audit
bench-audit: ## durable records/s and latency beside bbolt and SQLite (ARGS="-dir FOLDER" for another disk)
	$(GO) run ./evals/cmd/commit $(ARGS)
	$(GO) run ./evals/cmd/report

.PHONY: bench-search
bench-search: ## searches of the record over an index of 10 million records (ARGS="-n 1000000" for fewer)
	$(GO) run ./evals/cmd/search $(ARGS)
	$(GO) run ./evals/cmd/report

.PHONY: providers
providers: ## install OpenID Connect providers that others wrote, for tests: node's oidc-provider (npm), dex
	@scripts/deps.sh providers

.PHONY: providers-test
providers-test: deps-test providers ## every way to log in, against each of the providers
	$(GO) test -count 1 -v -run 'Provider|Device' ./internal/testop ./internal/identity/oidc ./evals/identity

.PHONY: fuzz-identity
fuzz-identity: FUZZTIME = 10m
fuzz-identity: ## the decoders of tokens, handshakes and startup packets for FUZZTIME each (10m; what is shorter is not recorded)
	$(GO) run ./evals/cmd/identity -fuzz $(FUZZTIME)
	$(GO) run ./evals/cmd/report

# Each eval is a program that ends with status 1 when a figure misses its bound; the others run anyway.
EVALS ?= twin leak sqlsmith attack benign classify clients soak conformance detect planning tamper crash erasure bundle approval identity commit
.PHONY: evals
evals: deps build ## leaks, attacks, everyday SQL, detectors, crashes, erasure, approvals ... (EVALS="twin" for some)
	@failed=; for e in $(EVALS); do echo "== $$e"; $(GO) run ./evals/cmd/$$e $(ARGS) || failed="$$failed $$e"; done; \
	$(GO) run ./evals/cmd/report; \
	if [ -n "$$failed" ]; then echo "evals: missed a bound:$$failed" >&2; exit 1; fi

.PHONY: browser
browser: ## every page and the whole way of an approval in headless Chromium, with axe-core (ARGS=-dry records nothing)
	@scripts/deps.sh browser || { [ -z "$${CI:-}" ] && echo "NO BROWSER: what follows says what was not run" >&2; }
	$(GO) run ./evals/cmd/browser $(ARGS)
	$(GO) run ./evals/cmd/report

.PHONY: screenshots
screenshots: ## pictures of every page, light and dark, desktop and phone, into evals/out/screenshots
	@scripts/deps.sh browser
	$(GO) run ./evals/cmd/browser -screenshots

.PHONY: regress
regress: deps build ## PostgreSQL's own regression suite through the door
	$(GO) run ./evals/cmd/regress $(ARGS)
	$(GO) run ./evals/cmd/report

.PHONY: mutate
mutate: deps-test ## leave out one case of the guard or compiler at a time: which does no test need? (goes on where it was)
	$(GO) run ./evals/cmd/mutate $(ARGS)
	$(GO) run ./evals/cmd/report

.PHONY: fuzz
fuzz: ## every fuzz target for FUZZTIME each
	@$(GO) list -f '{{.Dir}}' ./... | while read -r dir; do \
	  grep -hoE '^func (Fuzz[A-Za-z0-9_]*)' "$$dir"/*_test.go 2>/dev/null | sed 's/^func //' | while read -r f; do \
	    echo "== $$f in $${dir#$(CURDIR)/}"; \
	    $(GO) test -run '^$$' -fuzz "^$$f\$$" -fuzztime $(FUZZTIME) "$$dir"; \
	  done; \
	done

.PHONY: fuzz-twin
fuzz-twin: deps build ## random statements on twin databases for FUZZTIME, or N of them (ARGS="-seed 7 -kinds token", -record)
	$(GO) run ./evals/cmd/fuzztwin $(if $(N),-n $(N),-time $(FUZZTIME)) $(ARGS)
	$(GO) run ./evals/cmd/report

# The player that replays are tried with; it comes from npm.
PLAYER := asciinema-player@3.18.0

.PHONY: player
player: ## play replays in asciinema-player and compare what stands on its terminal (needs node and npm)
	@dir=$$(mktemp -d); trap 'rm -rf "$$dir"' EXIT; npm install --silent --no-audit --no-fund --prefix "$$dir" $(PLAYER) >/dev/null; \
	SALLYPORT_PLAYER="$$dir/node_modules/asciinema-player" $(GO) test -count 1 -run AsciinemaPlayer ./audit/replay

.PHONY: clean
clean: ## remove what make made
	@rm -rf bin evals/out
