#!/usr/bin/env bash
# What the program is shipped with is in order, as far as tools that can be had here can tell.
. "$(dirname "$0")/lib.sh"
need yamllint shellcheck systemd-analyze docker-compose

cd "$project"
check 'the Dockerfile is sound' node_modules/.bin/dockerfile-utils lint packaging/Dockerfile
check 'compose, Kubernetes and configuration files are sound YAML' yamllint --strict packaging config-dev.yml
check 'Compose understands compose.yml' docker-compose -f packaging/compose.yml config --quiet
check 'Compose understands it with all profiles' docker-compose -f packaging/compose.yml --profile redis --profile s3 config --quiet
check 'the scripts are sound' shellcheck bin/registry.sh packaging/image.sh .ci/run .ci/install-tools

sed "s#/usr/local/bin/registry#$SUT#" packaging/entrepot.service >"$work/entrepot.service"
check 'systemd understands the unit' systemd-analyze verify --man=no "$work/entrepot.service"

# What they configure the registry with is a configuration.
check 'the image’s configuration is one' "$SUT" config check packaging/config.yml
node -e '
  const yaml = require("js-yaml")
  const documents = yaml.loadAll(require("node:fs").readFileSync("packaging/kubernetes/entrepot.yaml", "utf8"))
  const { data } = documents.find(one => one.kind === "ConfigMap")
  console.log(data["config.yml"])' >"$work/kubernetes.yml"
check 'the configuration for Kubernetes is one' "$SUT" config check "$work/kubernetes.yml"
