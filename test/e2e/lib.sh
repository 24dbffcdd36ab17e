# What every scenario shares: programs started and stopped by their own pid, on free ports of 127.0.0.1, over folders
# of their own, and checks that print `ok` and `not ok` lines. Sourced, never run.
#
# The registry under test is $SUT (default: the built bin/registry); the one it is held against is $REFERENCE
# (default: Debian's docker-registry). Both take the same configuration file.
set -euo pipefail

project=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
SUT=${SUT:-$project/bin/registry}
REFERENCE=${REFERENCE:-docker-registry}
work=${TMPDIR:-/tmp}/entrepot-e2e-$$-$(date +%s) # lower case, because podman makes image names of it
mkdir "$work"
declare -A own_pids=()
check_number=0

# Nothing of the user's own set-up takes part: no proxy, no credentials, no configuration of the clients, and none of
# the variables that override the registries' configuration (REGISTRY_AUTH_FILE, meant for the clients, would).
unset http_proxy https_proxy HTTP_PROXY HTTPS_PROXY all_proxy ALL_PROXY DOCKER_CONFIG "${!REGISTRY_@}"
export HOME=$work/home XDG_RUNTIME_DIR=$work/run CONTAINERS_CONF=$work/containers.conf
export CONTAINERS_REGISTRIES_CONF=$work/registries.conf NO_COLOR=1
mkdir -p "$HOME" "$XDG_RUNTIME_DIR"
printf '[network]\nnetwork_config_dir = "%s"\n' "$work/cni" >"$CONTAINERS_CONF"
echo 'unqualified-search-registries = []' >"$CONTAINERS_REGISTRIES_CONF"
echo '{"default": [{"type": "insecureAcceptAnything"}]}' >"$work/policy.json"

clean_up() {
  local status=$?
  trap - EXIT
  {
    for pid in "${!own_pids[@]}"; do kill -KILL "$pid" && wait "$pid" || true; done
    # What a daemon that was killed has left mounted.
    awk -v work="$work/" 'index($2, work) == 1 { print $2 }' /proc/mounts | sort -r | xargs -r -n 1 umount --lazy || true
  } 2>/dev/null
  rm -rf "$work" || true
  exit "$status"
}
trap clean_up EXIT
trap 'exit 143' TERM INT

# --- checks

ok() { check_number=$((check_number + 1)) && echo "ok $check_number - $1"; }

not_ok() { # name, what was found
  check_number=$((check_number + 1)) && echo "not ok $check_number - $1"
  tail -n 25 <<<"$2" | sed 's/^/# /'
}

# Runs a command; passes if it succeeds.
check() { # name, command...
  local name=$1 status=0
  shift
  "$@" >"$work/check.out" 2>&1 || status=$?
  if [ "$status" = 0 ]; then ok "$name"; else not_ok "$name" "$(cat "$work/check.out" && echo "exit $status: $*")"; fi
}

# Runs a command; passes if it fails.
check_fails() { # name, command...
  local name=$1
  shift
  if "$@" >"$work/check.out" 2>&1; then not_ok "$name" "$(cat "$work/check.out" && echo "exit 0: $*")"; else ok "$name"; fi
}

check_equal() { # name, found, wanted
  if [ "$2" = "$3" ]; then ok "$1"; else not_ok "$1" "$(printf 'found:  %s\nwanted: %s\n' "$2" "$3")"; fi
}

check_contains() { # name, text, part
  case $2 in *"$3"*) ok "$1" ;; *) not_ok "$1" "$(printf 'found:  %s\nwanted: … %s …\n' "$2" "$3")" ;; esac
}

check_below() { # name, found, limit: whole numbers
  if [ "$2" -lt "$3" ]; then ok "$1 ($2 < $3)"; else not_ok "$1" "found $2, wanted less than $3"; fi
}

report() { echo "# $*"; }

# A program that is missing is a failure where everything should be there, and a plain skip elsewhere.
need() { # program...
  local program
  for program in "$@"; do
    command -v "$program" >/dev/null && continue
    if [ "${CI:-}" = true ]; then not_ok "$program is installed" "apt-get install $program"; else echo "skip - no $program (apt-get install $program)"; fi
    exit 0
  done
}

# --- programs

wait_for() { # seconds, command...
  local deadline=$((SECONDS + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    [ "$SECONDS" -lt "$deadline" ] || return 1
    sleep 0.05
  done
}

free_port() {
  node -e 'const s = require("node:net").createServer().listen(0, "127.0.0.1", () => { console.log(s.address().port); s.close() })'
}

# Starts a registry and waits until it answers. Sets <name>_pid, <name>_host, <name>_url and <name>_log; standard
# output, which has the access log, and standard error go to the log. `more` is YAML with top-level keys.
start_registry() { # name, command, root directory, more
  local name=$1 command=$2 root=$3 more=${4:-} attempt port pid
  for attempt in 1 2 3; do
    port=$(free_port)
    cat >"$work/$name.yml" <<Y
version: 0.1
log: {level: info}
storage: {filesystem: {rootdirectory: $root}, delete: {enabled: true}, cache: {blobdescriptor: inmemory}}
http: {addr: "127.0.0.1:$port", secret: e2e, draintimeout: 60s}
$more
Y
    OTEL_TRACES_EXPORTER=none $command serve "$work/$name.yml" >>"$work/$name.log" 2>&1 &
    pid=$!
    own_pids[$pid]=$name
    if wait_for 20 answers_or_ended "$pid" "127.0.0.1:$port" && curl -sf "http://127.0.0.1:$port/" >/dev/null; then
      declare -g "${name}_pid=$pid" "${name}_host=127.0.0.1:$port" "${name}_url=http://127.0.0.1:$port" "${name}_log=$work/$name.log"
      return 0
    fi
    kill -KILL "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
    unset "own_pids[$pid]"
  done
  not_ok "$name starts: $command serve" "$(cat "$work/$name.log")"
  exit 1
}

# Starts a daemon that a client of ours needs, and waits for a command to succeed. A daemon that does not start says
# something about this machine (its kernel, our rights), not about a registry: a skip.
start_daemon() { # name, command that succeeds when it is ready, command...
  local name=$1 ready=$2 pid
  shift 2
  "$@" >"$work/$name.log" 2>&1 &
  pid=$!
  own_pids[$pid]=$name
  if ! wait_for 60 ready_or_ended "$pid" $ready || ! $ready >/dev/null 2>&1; then
    echo "skip - $name does not start here: $(tail -n 1 "$work/$name.log")"
    exit 0
  fi
  declare -g "${name}_pid=$pid"
}

ready_or_ended() { # pid, command...
  "${@:2}" || ended "$1"
}

# Starts a containerd of our own at $containerd_socket.
start_containerd() {
  containerd_socket=$work/containerd.sock
  cat >"$work/containerd.toml" <<T
version = 2
root = "$work/containerd/root"
state = "$work/containerd/state"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
address = "$containerd_socket"
[debug]
address = ""
T
  start_daemon containerd "ctr --address $containerd_socket version" containerd --config "$work/containerd.toml"
}

answers_or_ended() { # pid, host
  curl -sf "http://$2/" || ended "$1" # asks for no credentials, as /v2/ may
}

# Ends a program of ours with SIGTERM; sets stop_status to its exit status, 137 if it had to be killed after 60 s.
stop() { # pid
  kill -TERM "$1" 2>/dev/null || true
  wait_for 60 ended "$1" || kill -KILL "$1"
  stop_status=0
  wait "$1" 2>/dev/null || stop_status=$?
  unset "own_pids[$1]"
}

# Whether a child has ended; one that was not yet waited for is a zombie.
ended() { # pid
  local state
  state=$(sed 's/.*) //' "/proc/$1/stat" 2>/dev/null) || return 0
  [ "${state:0:1}" = Z ]
}

# --- clients

make_image() { # destination, options of make-image.mjs...
  node "$project/test/e2e/make-image.mjs" "$@"
}

skopeo_copy() { # source, destination, options...
  skopeo copy --quiet --insecure-policy --src-tls-verify=false --dest-tls-verify=false "${@:3}" "$1" "$2"
}

podman_() {
  mkdir -p "$work/podman"
  podman --root "$work/podman/root" --runroot "$work/podman/run" --tmpdir "$work/podman/tmp" --storage-driver vfs \
    --cgroup-manager cgroupfs --events-backend none "$@"
}

buildah_() {
  buildah --root "$work/buildah/root" --runroot "$work/buildah/run" --storage-driver vfs "$@"
}

# The digest under which a registry serves a reference.
digest_of() { # registry URL, repository, reference
  curl -sf -I -H "$accept" "$1/v2/$2/manifests/$3" | tr -d '\r' | sed -n 's/^docker-content-digest: //ip'
}

accept="Accept: application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, \
application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json"

sha256_of() { echo "sha256:$(sha256sum "$1" | cut -d' ' -f1)"; }

# The status that a request is answered with.
status_of() { # curl arguments...
  curl -sS -o /dev/null -w '%{http_code}' "$@"
}

# A header of the answer on stdin.
header() { # name
  tr -d '\r' | sed -n "s/^$1: //ip"
}

# A descriptor of a file's content, as JSON.
descriptor() { # media type, file
  printf '{"mediaType":"%s","digest":"%s","size":%s}' "$1" "$(sha256_of "$2")" "$(stat -c %s "$2")"
}

# Pushes a manifest; prints the headers of the answer.
push_manifest() { # registry URL, repository, reference, file
  curl -sSf -D - -o /dev/null -X PUT -H "Content-Type: $(jq -r .mediaType "$4")" --data-binary "@$4" "$1/v2/$2/manifests/$3"
}

# Begins an upload session and prints its URL.
start_upload() { # registry URL, repository
  curl -sf -D - -o /dev/null -X POST "$1/v2/$2/blobs/uploads/" | location_in
}

# The Location among response headers on stdin.
location_in() { tr -d '\r' | sed -n 's/^location: //ip'; }

push_blob() { # registry URL, repository, file, digest (default: its sha256)
  local session
  session=$(start_upload "$1" "$2")
  curl -sf -o /dev/null -X PUT -H 'Content-Type: application/octet-stream' -T "$3" "$session&digest=${4:-$(sha256_of "$3")}"
}

# How many lines of an access log have this method and a path that begins so.
requests_in() { # log, method, path
  grep -a -c -F "\"$2 $3" "$1" || true
}
