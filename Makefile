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
banner := import { createRequire as requireFor } from "node:module"; const require = requireFor(import.meta.url);
bundle := esbuild --bundle --platform=node --target=node20 --format=esm \
  --minify-syntax --minify-whitespace --legal-comments=none --log-level=warning \
  --define:ENTREPOT_VERSION='"$(version)"' --define:ENTREPOT_REVISION='"$(revision)"' --banner:js='$(banner)'
built_from := $(sources) package.json Makefile $(wildcard .git/logs/HEAD) $(installed)
parts := bin/registry-parts

##@ Build

.PHONY: all
all: install build ## install what is needed, then build (the default)

.PHONY: install
install: $(installed) ## install the packages in package-lock.json, unless they are

$(installed): package-lock.json
	npm ci
	@touch $@

.PHONY: build
build: $(programs:%=bin/%) ## bundle each program; registry in parts that are read when they are wanted
	@echo "+ binaries"

bin/%: bin/%.ts $(built_from)
	@$(bundle) $< --outfile=$@
	@chmod +x $@
	@echo "+ $@"

bin/registry: bin/registry.sh $(parts)/registry.mjs
	@install -m 755 $< $@
	@echo "+ $@"

# Replaced as a whole, so that nothing of an earlier build is left in it.
$(parts)/registry.mjs: bin/registry.ts bin/bcrypt-worker.ts $(built_from)
	@rm -rf $(parts).new $(parts).old
	@$(bundle) --splitting bin/registry.ts bin/bcrypt-worker.ts --outdir=$(parts).new --out-extension:.js=.mjs
	@[ ! -e $(parts) ] || mv $(parts) $(parts).old
	@mv $(parts).new $(parts)
	@rm -rf $(parts).old

.PHONY: clean
clean: ## remove what is built, measured and covered
	rm -rf $(programs:%=bin/%) $(parts) $(parts).new $(parts).old .tap .bench

##@ Run

.PHONY: run
run: all ## serve config-dev.yml: a registry and mirror of Docker Hub at http://localhost:5000
	./bin/registry serve config-dev.yml

.PHONY: image
image: all ## make the image localhost/entrepot with buildah, from this machine's Node (NAME=… names it otherwise)
	bash packaging/image.sh $(or $(NAME),localhost/entrepot:latest)

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

.PHONY: start-s3-storage
start-s3-storage: $(installed) ## start an S3 server at 127.0.0.1:9000: MinIO in Docker, or s3rver
	bash test/support/s3-storage.sh start

.PHONY: stop-s3-storage
stop-s3-storage: ## stop it
	bash test/support/s3-storage.sh stop

.PHONY: test-s3
test-s3: $(installed) ## test the S3 driver against that server, or the one that REGION_ENDPOINT names
	bash test/support/s3-storage.sh test

.PHONY: bench
bench: all ## measure against Debian's docker-registry; prints a table
	node test/bench/bench.mjs

.PHONY: bench-mirror
bench-mirror: all ## measure mirrors before a distant, then failing upstream; prints a table
	node test/bench/bench-mirror.mjs

.PHONY: docs
docs: $(installed) docs/api.md docs/configuration.md docs/configuration.schema.json ## write the documents that are made by programs
	node test/conformance/report.mjs
	node test/faults/report.mjs

docs/configuration.schema.json: bin/registry
	@./bin/registry config schema > $@.new && mv $@.new $@
	@echo "+ $@"

docs/configuration.md: docs/configuration.md.tmpl bin/registry
	@./bin/registry config schema --tables > $@.keys
	@sed -e '/^@keys@$$/{' -e 'r $@.keys' -e 'd' -e '}' $< > $@.new && mv $@.new $@ && rm $@.keys
	@echo "+ $@"

docs/api.md: docs/api.md.tmpl bin/registry-api-descriptor-template
	@./bin/registry-api-descriptor-template $< > $@.new && mv $@.new $@
	@echo "+ $@"

##@ Help

.PHONY: help
help: ## print this
	@awk 'BEGIN { FS = ":.*## " } /^##@ / { printf "\n%s\n", substr($$0, 5) } /^[a-z0-9-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
