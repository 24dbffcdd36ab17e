# Everything that is done with this tree. `make` installs what is needed and builds; `make help` lists the rest.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := all
MAKEFLAGS += --no-builtin-rules

programs := registry digest registry-api-descriptor-template
sources := $(shell find lib bin -name '*.ts')
installed := node_modules/.package-lock.json
export PATH := $(CURDIR)/node_modules/.bin:$(PATH)

version := $(shell sed -n 's/^  "version": "\(.*\)",$$/\1/p' package.json)
revision := $(shell git describe --always --abbrev=12 --match= --dirty 2>/dev/null || echo unknown)
# Packages in CommonJS call require() for modules of Node; an ES module has to make its own.
#
# The file is a shell script and a module at once: the shell starts Node with a larger thread pool, since with the usual
# four threads a few slow flushes to disk would hold up every read. Node has its pool before a module's first line runs.
define banner
":" //; exec env UV_THREADPOOL_SIZE="$${UV_THREADPOOL_SIZE:-16}" node "$$0" "$$@"
import { createRequire } from "node:module"; const require = createRequire(import.meta.url);
endef
export banner

##@ Build

.PHONY: all
all: install build ## install what is needed, then build (the default)

.PHONY: install
install: $(installed) ## install the packages in package-lock.json, unless they are

$(installed): package-lock.json
	npm ci
	@touch $@

.PHONY: build
build: $(programs:%=bin/%) ## bundle each program into one executable file
	@echo "+ binaries"

bin/%: bin/%.ts $(sources) package.json Makefile $(wildcard .git/logs/HEAD) $(installed)
	@esbuild $< --bundle --outfile=$@ --platform=node --target=node20 --format=esm \
	  --minify-syntax --minify-whitespace --legal-comments=none --log-level=warning \
	  --banner:js="$$banner" --define:ENTREPOT_VERSION='"$(version)"' --define:ENTREPOT_REVISION='"$(revision)"'
	@chmod +x $@
	@echo "+ $@"

.PHONY: clean
clean: ## remove what is built, measured and covered
	rm -rf $(programs:%=bin/%) .tap .bench

##@ Run

.PHONY: run
run: all ## serve config-dev.yml: a registry and mirror of Docker Hub at http://localhost:5000
	./bin/registry serve config-dev.yml

##@ Check

.PHONY: ci
ci: validate test ## validate, then test

.PHONY: validate
validate: $(installed) ## check types, lint, format, unused exports and layers
	tsc --project .
	eslint .
	prettier --check --log-level warn .
	knip
	tap run --disable-coverage test/layers.test.ts

.PHONY: test
test: $(installed) ## run the unit tests
	tap run

.PHONY: e2e
e2e: all ## run the built program against other programs' clients and registries
	bash test/e2e/run.sh

.PHONY: bench
bench: all ## measure against Debian's docker-registry; prints a table
	node test/bench/bench.mjs

.PHONY: bench-mirror
bench-mirror: all ## measure mirrors before a distant, then failing upstream; prints a table
	node test/bench/bench-mirror.mjs

.PHONY: docs
docs: $(installed) docs/api.md ## write the documents that are made by programs
	node test/conformance/report.mjs
	node test/faults/report.mjs

docs/api.md: docs/api.md.tmpl bin/registry-api-descriptor-template
	@./bin/registry-api-descriptor-template $< > $@.new && mv $@.new $@
	@echo "+ $@"

##@ Help

.PHONY: help
help: ## print this
	@awk 'BEGIN { FS = ":.*## " } /^##@ / { printf "\n%s\n", substr($$0, 5) } /^[a-z0-9-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
