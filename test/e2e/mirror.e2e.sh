# A pull-through cache of Debian's docker-registry: what clients get, and what the upstream was asked for it, counted in
# the upstream's own access log.
. "$(dirname "$0")/lib.sh"
need docker-registry skopeo curl jq

start_registry upstream "$REFERENCE" "$work/upstream"
images=(serial parallel head range leave) # one each: what is stored already is not fetched for a second name
for name in "${images[@]}"; do
  make_image "$work/$name" --layers 2 --bytes 4000000 --seed "$name" >/dev/null
  skopeo_copy "oci:$work/$name:latest" "docker://$upstream_host/library/$name:latest"
done
index=$(make_image "$work/index" --seed mirror --platforms amd64,arm64)
make_image "$work/newer" --seed 'mirror, newer' >/dev/null
skopeo_copy "oci:$work/index:latest" "docker://$upstream_host/library/index:latest" --all
start_registry sut "$SUT" "$work/sut" "proxy: {remoteurl: '$upstream_url', cache: {tagttl: 1h}}"

# The digests of an image's blobs, config first.
blobs_of() { # name
  local manifest
  manifest=$(jq -r '.manifests[0].digest[7:]' "$work/$1/index.json")
  jq -r '.config.digest, .layers[].digest' "$work/$1/blobs/sha256/$manifest"
}
layer_of() { blobs_of "$1" | tail -n 1; }
file_of() { echo "$work/$1/blobs/sha256/${2#sha256:}"; } # name, digest
image=$(digest_of "$upstream_url" library/serial latest)
asked() { requests_in "$upstream_log" "$@"; }
mirrored() { skopeo_copy "docker://$sut_host/$1" "oci:$2:latest" "${@:3}"; }

check 'skopeo pulls an image that is not there yet' mirrored library/serial:latest "$work/first"
check 'its blobs are the upstream'"'"'s, byte for byte' diff -r "$work/serial/blobs" "$work/first/blobs"
check_equal 'its digest is the upstream'"'"'s' "$(digest_of "$sut_url" library/serial latest)" "$image"
check 'skopeo pulls it again' mirrored library/serial:latest "$work/again"
for blob in $(blobs_of serial); do
  check_equal "two pulls fetched ${blob:0:19} once" "$(asked GET "/v2/library/serial/blobs/$blob")" 1
done
check 'skopeo pulls an index with all platforms' mirrored library/index:latest "$work/index-back" --all
check 'the index comes through byte for byte' diff -r "$work/index/blobs" "$work/index-back/blobs"
check 'skopeo inspects through the mirror' skopeo inspect --tls-verify=false "docker://$sut_host/library/serial:latest"

pulls=()
for i in 1 2 3 4 5 6 7 8; do
  mirrored library/parallel:latest "$work/parallel-$i" >"$work/parallel-$i.log" 2>&1 &
  pulls+=($!)
done
for i in 1 2 3 4 5 6 7 8; do
  check "cold pull $i of 8 at once" wait "${pulls[$((i - 1))]}"
  check "cold pull $i has every blob" diff -r "$work/parallel/blobs" "$work/parallel-$i/blobs"
done
for blob in $(blobs_of parallel); do
  check_equal "eight cold pulls at once fetched ${blob:0:19} once" "$(asked GET "/v2/library/parallel/blobs/$blob")" 1
done

layer=$(layer_of head)
head=$(curl -sS -I "$sut_url/v2/library/head/blobs/$layer" | tr -d '\r')
size=$(stat -c %s "$(file_of head "$layer")")
check_contains 'HEAD of a blob that is not there yet is 200' "$head" ' 200'
check_equal 'HEAD tells its size' "$(sed -n 's/^content-length: //ip' <<<"$head")" "$size"
check_equal 'HEAD tells its digest' "$(sed -n 's/^docker-content-digest: //ip' <<<"$head")" "$layer"
check_equal 'HEAD fetches no blob' "$(asked GET "/v2/library/head/blobs/$layer")" 0
check 'GET after HEAD' curl -sSf -o "$work/head.blob" "$sut_url/v2/library/head/blobs/$layer"
check_equal 'GET after HEAD gives the blob' "$(sha256_of "$work/head.blob")" "$layer"

layer=$(layer_of range)
status=$(curl -sS -r 1000-1999 -o "$work/range.part" -w '%{http_code}' "$sut_url/v2/library/range/blobs/$layer")
check_equal 'a range of a blob that is not there yet is 206' "$status" 206
check 'the range is the right one' \
  cmp "$work/range.part" <(dd if="$(file_of range "$layer")" bs=1000 skip=1 count=1 2>/dev/null)

layer=$(layer_of leave)
curl -sS "$sut_url/v2/library/leave/blobs/$layer" 2>/dev/null | head -c 100000 >"$work/leave.part" || true
check_equal 'a client that leaves early had its bytes' "$(stat -c %s "$work/leave.part")" 100000
check 'the next client gets the blob' curl -sSf -o "$work/leave.blob" "$sut_url/v2/library/leave/blobs/$layer"
check_equal 'the next client gets it whole' "$(sha256_of "$work/leave.blob")" "$layer"
check_equal 'a client that left cost no second fetch' "$(asked GET "/v2/library/leave/blobs/$layer")" 1

check_equal 'an unknown tag is 404' "$(curl -s -o /dev/null -w '%{http_code}' "$sut_url/v2/library/serial/manifests/no-such")" 404
check_equal 'an unknown blob is 404' \
  "$(curl -s -o /dev/null -w '%{http_code}' "$sut_url/v2/library/serial/blobs/sha256:$(printf '0%.0s' {1..64})")" 404
check_equal 'the tags are the upstream'"'"'s' "$(curl -sf "$sut_url/v2/library/serial/tags/list" | jq -c .)" \
  '{"name":"library/serial","tags":["latest"]}'

skopeo_copy "oci:$work/newer:latest" "docker://$upstream_host/library/serial:latest"
pushed=$(asked HEAD /v2/library/serial/manifests)
check_equal 'within its time to live a tag stays' "$(digest_of "$sut_url" library/serial latest)" "$image"
check_equal 'within its time to live the upstream is not asked for a tag' "$(asked HEAD /v2/library/serial/manifests)" "$pushed"
start_registry always "$SUT" "$work/sut-always" "proxy: {remoteurl: '$upstream_url', cache: {tagttl: 0s}}"
skopeo_copy "oci:$work/serial:latest" "docker://$upstream_host/library/moving:latest"
check_equal 'a tag before it moves' "$(digest_of "$always_url" library/moving latest)" "$image"
skopeo_copy "oci:$work/newer:latest" "docker://$upstream_host/library/moving:latest"
check_equal 'a tag that has no time to live moves at once' "$(digest_of "$always_url" library/moving latest)" \
  "$(digest_of "$upstream_url" library/moving latest)"

stop "$upstream_pid"
check 'with the upstream gone a cached tag is served' mirrored library/serial:latest "$work/offline"
check 'with the upstream gone its blobs are whole' diff -r "$work/serial/blobs" "$work/offline/blobs"
check 'with the upstream gone a cached digest is served' mirrored "library/serial@$image" "$work/offline-digest"
check 'with the upstream gone a cached index is served' mirrored library/index:latest "$work/offline-index" --all
check_equal 'with the upstream gone a tag past its time to live is served' \
  "$(curl -s -o /dev/null -w '%{http_code}' -H "$accept" "$always_url/v2/library/moving/manifests/latest")" 200
started=$SECONDS
check_equal 'with the upstream gone what was never cached is 503' \
  "$(curl -s -o /dev/null -w '%{http_code}' "$sut_url/v2/library/never/manifests/latest")" 503
check_below 'and that is said within seconds' $((SECONDS - started)) 15
check_equal 'the index digest is unchanged' "$(digest_of "$sut_url" library/index latest)" "$index"

stop "$sut_pid"
check_equal 'the mirror stops cleanly' "$stop_status" 0
start_registry sut "$SUT" "$work/sut" "proxy: {remoteurl: '$upstream_url'}"
check 'a mirror starts without its upstream and serves what it has' mirrored "library/serial@$image" "$work/restarted"
