# Memory: 50 pulls and 50 pushes of 100 MB at once raise the high-water mark by less than 200 MiB over that of an idle
# program. The limit is a promise of the README.
. "$(dirname "$0")/lib.sh"
need curl

clients=50
size=100000000
limit_kib=$((200 * 1024))
head -c "$size" /dev/urandom >"$work/blob"
digest=$(sha256_of "$work/blob")

# High-water mark of the resident set of a program and its children, in KiB.
high_water() { # pid
  local pid total=0
  for pid in "$1" $(cat /proc/"$1"/task/*/children); do
    total=$((total + $(awk '/^VmHWM/ { print $2 }' "/proc/$pid/status")))
  done
  echo "$total"
}

# Runs as many of a command at once; each gets its number.
at_once() { # command...
  local pids=() i status=0
  for ((i = 0; i < clients; i++)); do
    "$@" "$i" &
    pids+=($!)
  done
  for pid in "${pids[@]}"; do wait "$pid" || status=1; done
  return "$status"
}

start_registry sut "$SUT" "$work/sut"
idle=$(high_water "$sut_pid")
report "idle: $((idle / 1024)) MiB"

push() { push_blob "$sut_url" "many/n$1" "$work/blob" "$digest"; }
pull() { curl -sSf "$sut_url/v2/many/n$1/blobs/$digest" | cmp - "$work/blob"; }
SECONDS=0
check "$clients pushes at once" at_once push
report "$((clients * size / 1000000 / (SECONDS + 1))) MB/s"
pushed=$(high_water "$sut_pid")
check_below 'growth through pushes, KiB' $((pushed - idle)) "$limit_kib"
SECONDS=0
check "$clients pulls at once, every byte compared" at_once pull
report "$((clients * size / 1000000 / (SECONDS + 1))) MB/s"
check_below 'growth through pulls and pushes, KiB' $(($(high_water "$sut_pid") - idle)) "$limit_kib"

# The same through a mirror: 50 clients of one cold blob.
start_registry mirror "$SUT" "$work/mirror" "proxy: {remoteurl: '$sut_url'}"
idle=$(high_water "$mirror_pid")
mirror_pull() { curl -sSf "$mirror_url/v2/many/n0/blobs/$digest" | cmp - "$work/blob"; }
check "$clients cold pulls at once through a mirror, every byte compared" at_once mirror_pull
check_below 'growth through cold pulls, KiB' $(($(high_water "$mirror_pid") - idle)) "$limit_kib"
