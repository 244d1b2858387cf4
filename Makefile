# What people and CI run. `make help` lists every target.

GO ?= go
BIN := bin
TOOLS := .tools

GOLANGCI_LINT_VERSION := v2.15.0
GOFUMPT_VERSION := v0.12.0
GOVULNCHECK_VERSION := v1.9.0

GOLANGCI_LINT := $(TOOLS)/golangci-lint-$(GOLANGCI_LINT_VERSION)
GOFUMPT := $(TOOLS)/gofumpt-$(GOFUMPT_VERSION)
GOVULNCHECK := $(TOOLS)/govulncheck-$(GOVULNCHECK_VERSION)

# What reads the OpenAPI document, at the versions of these files: from PyPI, and from the Go module proxy.
CONTRACT := internal/system/testdata/contract
CONTRACT_TOOLS := $(TOOLS)/contract-$(firstword $(shell sha256sum $(CONTRACT)/requirements.txt))
PYTHON ?= python3

# What --version and monedero_build_info say; empty: what the Go command knows.
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null)
COMMIT ?= $(shell git rev-parse HEAD 2>/dev/null)
DATE ?= $(shell git show --no-patch --format=%cI HEAD 2>/dev/null)
TELEMETRY := github.com/monedero/monedero/internal/telemetry

# Static binaries: they run in an image that holds nothing else.
BUILD := CGO_ENABLED=0 $(GO) build -trimpath \
	-ldflags '-X $(TELEMETRY).version=$(VERSION) -X $(TELEMETRY).commit=$(COMMIT) -X $(TELEMETRY).date=$(DATE)'

# Passed on to go test, as in: make test TEST="-run Settle ./internal/postgres"
TEST ?= ./...

.DEFAULT_GOAL := help

.PHONY: help
help: ## List the targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## Build the three binaries into bin/
	$(BUILD) -o $(BIN)/ ./cmd/...

.PHONY: image
image: ## Build the image monedero:dev, which knows what it was built from
	docker build --file deployments/Dockerfile --tag monedero:dev \
		--build-arg VERSION='$(VERSION)' --build-arg COMMIT='$(COMMIT)' --build-arg DATE='$(DATE)' .

.PHONY: test
test: ## Run the tests
	$(GO) test -timeout 30m $(TEST)

.PHONY: race
race: ## Run the tests under the race detector, in shuffled order, one package at a time
	$(GO) test -race -shuffle=on -p 1 -timeout 30m $(TEST)

# How long, from which seed (empty: a new one, which is printed), on which Kafka (real
# or kfake), and of how many brokers: 1, or 3 by java.
FOR ?= 10m
SEED ?=
KAFKA_TEST ?= real
BROKERS ?= 1
# Part of the names of the faults to cause; empty: all of them.
ONLY ?=
# Not empty: each fault comes alone, after the system has recovered from the last.
APART ?=

.PHONY: chaos
chaos: ## Break everything at random under load: make chaos FOR=10m SEED=1 APART=
	@mkdir -p $(BIN) && rm -f $(BIN)/chaos.txt
	@SEED=$(SEED) KAFKA_TEST=$(KAFKA_TEST) $(GO) test ./internal/system -run '^TestChaos$$' -count=1 -timeout 0 -v \
		-chaos.for=$(FOR) -chaos.brokers=$(BROKERS) -chaos.only='$(ONLY)' $(if $(APART),-chaos.apart) -chaos.report=$(CURDIR)/$(BIN)/chaos.txt; code=$$?; \
	cat $(BIN)/chaos.txt || exit 1; exit $$code

.PHONY: contract
contract: $(CONTRACT_TOOLS)/installed ## Have schemathesis and generated clients try the OpenAPI document (needs python3, asks PyPI)
	$(GO) test ./internal/system -run '^TestContract$$' -count=1 -timeout 20m -v -contract.tools=$(CURDIR)/$(CONTRACT_TOOLS)/bin

.PHONY: fmt
fmt: $(GOFUMPT) ## Check the format; print what differs
	@differs="$$($(GOFUMPT) -l .)"; \
	if [ -n "$$differs" ]; then printf 'not formatted (make fmt-fix):\n%s\n' "$$differs"; exit 1; fi

.PHONY: fmt-fix
fmt-fix: $(GOFUMPT) ## Format the code
	$(GOFUMPT) -w .

.PHONY: vet
vet: ## Run go vet
	$(GO) vet ./...

.PHONY: lint
lint: $(GOLANGCI_LINT) ## Run the linters of .golangci.yml
	$(GOLANGCI_LINT) run

.PHONY: vulncheck
vulncheck: $(GOVULNCHECK) ## Look for known vulnerabilities (asks vuln.go.dev)
	$(GOVULNCHECK) ./...

.PHONY: schema
schema: ## Write migrations/schema.sql anew (needs pg_dump)
	$(GO) test ./internal/postgres -run '^TestSchemaDump$$' -count=1 -update

.PHONY: golden
golden: ## Write the golden bodies of the HTTP API anew
	$(GO) test ./internal/ingest -run '^(TestStory|TestProblems|TestTooManyInHand)$$' -count=1 -update

# The form (--quick, or empty: the full one) and whatever else monedero bench takes.
BENCH ?= --quick

.PHONY: bench
bench: ## Measure against the limits: make bench BENCH='--only drain'; full form: BENCH=
	@mkdir -p $(BIN) && $(GO) build -o $(BIN)/monedero ./cmd/monedero
	@$(BIN)/monedero bench $(BENCH)

# Whatever else monedero bench curves takes.
CURVES ?= --to docs/performance

.PHONY: curves
curves: ## Measure the curves and draw them: make curves CURVES='--draw docs/performance'
	@mkdir -p $(BIN) && $(GO) build -o $(BIN)/monedero ./cmd/monedero
	@$(BIN)/monedero bench curves $(CURVES)

.PHONY: demo
demo: ## Run the demo until Ctrl-C
	$(GO) run ./cmd/monedero demo

.PHONY: devstack
devstack: ## Start only Postgres and Kafka, for services run by hand
	$(GO) run ./cmd/monedero devstack

.PHONY: tools
tools: $(GOFUMPT) $(GOLANGCI_LINT) $(GOVULNCHECK) ## Install the tools at their pinned versions into .tools/

.PHONY: clean
clean: ## Remove what was built, and the tools
	rm -rf $(BIN) $(TOOLS)

$(CONTRACT_TOOLS)/installed: $(CONTRACT)/requirements.txt
	@rm -rf $(CONTRACT_TOOLS)
	$(PYTHON) -m venv $(CONTRACT_TOOLS)
	$(CONTRACT_TOOLS)/bin/pip install --quiet --disable-pip-version-check --no-deps --requirement $<
	$(CONTRACT_TOOLS)/bin/pip check
	@touch $@

# install puts one pinned tool into $(TOOLS) under a name that holds its
# version, so that a new pin installs anew. It needs the Go module proxy alone.
define install
	@mkdir -p $(TOOLS)
	GOFLAGS= GOBIN=$(CURDIR)/$(TOOLS) $(GO) install $(1)@$(2)
	@mv $(TOOLS)/$(notdir $(1)) $@
endef

$(GOLANGCI_LINT):
	$(call install,github.com/golangci/golangci-lint/v2/cmd/golangci-lint,$(GOLANGCI_LINT_VERSION))

$(GOFUMPT):
	$(call install,mvdan.cc/gofumpt,$(GOFUMPT_VERSION))

$(GOVULNCHECK):
	$(call install,golang.org/x/vuln/cmd/govulncheck,$(GOVULNCHECK_VERSION))
