# A mirror whose disk has a cap: far more than it holds streams through it, pulled by real clients; what was pushed stays,
# and the commands that look into the cache say what there is.
. "$(dirname "$0")/lib.sh"
need skopeo curl jq

start_registry upstream "$SUT" "$work/upstream"
debug_port=$(free_port)
cap=20000000
start_registry sut "$SUT" "$work/sut" "proxy: {remoteurl: '$upstream_url', cache: {maxsize: 20MB, tagttl: 1h, pins: ['library/pinned']}}"
stop "$sut_pid"
sed -i "s|^http: {|http: {debug: {addr: '127.0.0.1:$debug_port', prometheus: {enabled: true}}, |" "$work/sut.yml"
restart() {
  "$SUT" serve "$work/sut.yml" >>"$work/sut.log" 2>&1 &
  sut_pid=$!
  own_pids[$sut_pid]=sut
  wait_for 20 curl -sf "$sut_url/v2/"
}
restart
cache() { "$SUT" cache "$@" --config "$work/sut.yml"; }
metric() { curl -sf "http://127.0.0.1:$debug_port/metrics" | sed -n "s/^$1 //p"; }

own=$(make_image "$work/own" --layers 2 --bytes 3000000 --seed own)
skopeo_copy "oci:$work/own:latest" "docker://$sut_host/team/own:1"
for name in pinned $(seq 1 12); do
  make_image "$work/image" --layers 2 --bytes 3000000 --seed "cap $name" >/dev/null
  skopeo_copy "oci:$work/image:latest" "docker://$upstream_host/library/$name:1"
  rm -rf "$work/image"
done
make_image "$work/image" --layers 1 --bytes 30000000 --seed large >/dev/null
skopeo_copy "oci:$work/image:latest" "docker://$upstream_host/library/large:1"

# What is stored of mirrored content, and what is on its way, sampled while images stream through.
used() { du -sb --apparent-size "$work/sut/docker/registry/v2/blobs" | cut -f 1; }
own_bytes=$(used)
(while :; do used; sleep 0.05; done >"$work/samples") &
sampler=$!
own_pids[$sampler]=sampler
check 'the image that is pinned' skopeo_copy "docker://$sut_host/library/pinned:1" "oci:$work/pinned:latest"
for name in $(seq 1 12); do
  check "image $name of 12, 72 MB through 20 MB" skopeo_copy "docker://$sut_host/library/$name:1" "dir:$work/out"
  rm -rf "$work/out"
done
check 'a blob larger than the disk' skopeo_copy "docker://$sut_host/library/large:1" "oci:$work/large:latest"
check 'is passed on byte for byte' diff -r "$work/image/blobs" "$work/large/blobs"
kill "$sampler" && wait "$sampler" 2>/dev/null || true
unset "own_pids[$sampler]"
most=$(sort -n "$work/samples" | tail -n 1)
check_below 'the disk was never over the cap' $((most - own_bytes)) $((cap + 500000))
check_below 'mirrored content is within the cap' "$(metric entrepot_cache_bytes)" $((cap + 1))
check_below 'something was evicted' 0 "$(metric 'entrepot_cache_evictions_total{content="blob"}')"
check 'what was pushed is there' skopeo_copy "docker://$sut_host/team/own:1" "oci:$work/own-back:latest"
check_equal 'with its digest' "$(digest_of "$sut_url" team/own 1)" "$own"

list=$(cache ls)
check_contains 'registry cache ls lists the pinned image' "$list" library/pinned
check_contains 'registry cache ls lists the latest image' "$list" library/12
check_contains 'registry explain says what it knows' "$("$SUT" explain library/12:1 --config "$work/sut.yml")" fresh
check 'registry cache warm brings back an old one' cache warm library/1:1
check_contains 'registry cache ls --offline reads the store' "$(cache ls --offline)" library/1
check 'registry cache purge removes it' cache purge library/1:1
check_fails 'it is gone' grep -q 'library/1:1' <(cache ls)

stop "$upstream_pid"
check 'with the upstream gone the pinned image is served' skopeo_copy "docker://$sut_host/library/pinned:1" "oci:$work/pinned-again:latest"
check 'it is what it was' diff -r "$work/pinned/blobs" "$work/pinned-again/blobs"
stop "$sut_pid"
check_equal 'the mirror stops cleanly' "$stop_status" 0
restart
check 'after a restart it is served as well' skopeo_copy "docker://$sut_host/library/pinned:1" "oci:$work/pinned-once-more:latest"
check_below 'after a restart the size is known' 0 "$(metric entrepot_cache_bytes)"
