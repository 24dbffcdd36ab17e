# zstd:chunked: podman pushes an image whose layers say where each file lies, and pulls it through a cold mirror by ranges,
# many at once. Where its storage cannot do that it pulls whole layers, which is said.
. "$(dirname "$0")/lib.sh"
need podman curl jq

start_registry upstream "$SUT" "$work/upstream"
start_registry sut "$SUT" "$work/sut" "proxy: {remoteurl: '$upstream_url'}"
cat >"$work/storage.conf" <<T
[storage]
driver = "overlay"
graphroot = "$work/chunked/root"
runroot = "$work/chunked/run"
[storage.options]
pull_options = {enable_partial_images = "true", use_hard_links = "false", ostree_repos = ""}
T
mkdir -p "$work/chunked"
chunked() { CONTAINERS_STORAGE_CONF=$work/storage.conf podman --tmpdir "$work/chunked/tmp" --cgroup-manager cgroupfs --events-backend none "$@"; }

make_image "$work/image" --layers 2 --bytes 3000000 --seed chunked >/dev/null
podman_ pull -q "oci:$work/image:latest" >"$work/id"
check 'podman pushes layers as zstd:chunked' podman_ push -q --tls-verify=false --compression-format zstd:chunked --format oci \
  "$(tail -n 1 "$work/id")" "docker://$upstream_host/library/chunked:1"
manifest=$(curl -sf -H "$accept" "$upstream_url/v2/library/chunked/manifests/1")
check_equal 'they have the media type of zstd' "$(jq -r '.layers[].mediaType' <<<"$manifest" | sort -u)" application/vnd.oci.image.layer.v1.tar+zstd
check_contains 'and say where their table of contents is' "$manifest" io.containers.zstd-chunked.manifest-position

check 'podman pulls them through a cold mirror' podman_ pull -q --tls-verify=false "$sut_host/library/chunked:1"
digest=$(jq -r '.layers[0].digest' <<<"$manifest")
size=$(jq -r '.layers[0].size' <<<"$manifest")
ranges=$(node -e 'const size = +process.argv[1]; console.log(Array.from({ length: 500 }, (_, i) => { const at = Math.floor((i * size) / 500); return `${at}-${at + 99}` }).join(","))' "$size")
curl -sS -r "$ranges" -D "$work/headers" -o "$work/parts" "$sut_url/v2/library/chunked/blobs/$digest"
check_contains '500 ranges are answered at once' "$(head -n 1 "$work/headers")" 206
check_contains 'as multipart/byteranges' "$(header content-type <"$work/headers")" multipart/byteranges
check_equal 'each with its bytes' "$(grep -a -c -i '^content-range: ' "$work/parts")" 500

if chunked info >"$work/info" 2>&1; then
  check 'podman pulls them into a storage that takes parts' chunked pull -q --tls-verify=false "$sut_host/library/chunked:1"
  check_below 'by asking for parts of them' 1 "$(grep -a -c 'HTTP/1.1" 206 ' "$sut_log" || true)"
else
  report "no overlay storage here: $(tail -n 1 "$work/info")"
fi
