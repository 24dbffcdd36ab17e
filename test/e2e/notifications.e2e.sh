# Webhooks of an endpoint that is down, while the registry is killed and started again: every push is heard of, in the
# order in which it happened, and again when both of them stumble in the middle of a delivery.
. "$(dirname "$0")/lib.sh"
need curl jq

cat >"$work/receiver.mjs" <<'J'
// Writes down what it is sent, as `<id> <tag> <authorization>`, one event a line; answers after so many milliseconds.
import { appendFileSync } from 'node:fs'
import http from 'node:http'
import { text } from 'node:stream/consumers'
const [port, file, pauseMs, status = 200] = process.argv.slice(2)
http
  .createServer(async (req, res) => {
    const [{ id, target }] = JSON.parse(await text(req)).events
    if (Number(status) < 400) appendFileSync(file, `${id} ${target.tag} ${req.headers.authorization}\n`)
    setTimeout(() => res.writeHead(Number(status)).end(), Number(pauseMs))
  })
  .listen(Number(port), '127.0.0.1')
J
port=$(free_port)
events=$work/events
touch "$events"
start_receiver() { # options of the receiver...
  node "$work/receiver.mjs" "$port" "$events" "$@" &
  receiver_pid=$!
  own_pids[$receiver_pid]=receiver
  wait_for 20 listens || not_ok 'the receiver starts' ''
}
listens() { (exec 3<>"/dev/tcp/127.0.0.1/$port"); }
kill_() { # pid
  { kill -KILL "$1" && wait "$1" || true; } 2>/dev/null
  unset "own_pids[$1]"
}
start_sut() {
  start_registry sut "$SUT" "$work/sut" "notifications:
  endpoints:
    - name: hooks
      url: http://user:pass-in-url@127.0.0.1:$port/hook
      headers: {X-Token: [header-secret]}
      timeout: 2s
      threshold: 3
      backoff: 200ms
      ignore: {actions: [pull]}
  queue: {directory: $work/waiting}"
}
push_tags() { # first, last
  local n
  for n in $(seq "$1" "$2"); do
    printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[],"annotations":{"n":"%s"}}' \
      "$n" >"$work/index"
    push_manifest "$sut_url" team/app "t$n" "$work/index" >/dev/null
  done
}
# Each event that was heard of once or more, in the order of the first time.
tags_heard() { awk '!seen[$1]++ { print $2 }' "$events"; }
tags() { seq -f 't%g' "$1" "$2"; }
heard() { [ "$(tags_heard | wc -l)" -ge "$1" ]; }

# --- nobody listens, and the registry is killed twice
start_sut
push_tags 1 20
kill_ "$sut_pid"
start_sut
push_tags 21 40
kill_ "$sut_pid"
start_sut
push_tags 41 50
check_equal 'nothing has been heard of' "$(wc -l <"$events")" 0
start_receiver 0
check 'every push is heard of when the endpoint is there' wait_for 60 heard 50
check_equal 'in order' "$(tags_heard)" "$(tags 1 50)"
check_equal 'and once each' "$(wc -l <"$events")" 50
check_equal 'with the credentials of the URL' "$(awk '{ print $4 }' "$events" | sort -u)" "$(printf user:pass-in-url | base64)"

# --- killed in the middle of a delivery
kill_ "$receiver_pid"
: >"$events"
start_receiver 30
push_tags 51 90
kill_ "$sut_pid"
start_sut
push_tags 91 100
check 'every push is heard of when the registry was killed meanwhile' wait_for 60 heard 50
check_equal 'in order' "$(tags_heard)" "$(tags 51 100)"
check_below 'few are heard of again' "$(($(wc -l <"$events") - 50))" 5

# --- the endpoint refuses, the registry ends in good order
kill_ "$receiver_pid"
: >"$events"
start_receiver 0 503
push_tags 101 110
stop "$sut_pid"
check_equal 'an endpoint that refuses does not hold up a stop' "$stop_status" 0
kill_ "$receiver_pid"
start_receiver 0
start_sut
check 'what was refused is delivered after the restart' wait_for 60 heard 10
check_equal 'in order' "$(tags_heard)" "$(tags 101 110)"
stop "$sut_pid"
check_equal 'the exit status is 0' "$stop_status" 0
check_equal 'nothing waits' "$(find "$work/waiting" -name '*.events' | wc -l)" 0
check_equal 'no credentials are logged' "$(grep -a -c -e pass-in-url -e header-secret "$sut_log")" 0
