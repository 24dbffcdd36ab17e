# One Entrepôt before three registries, asked by real clients in all the ways that they have: podman and skopeo through
# registries.conf, containerd with one hosts.toml for all registries and `ns`, and a mirror that is itself mirrored.
. "$(dirname "$0")/lib.sh"
need docker-registry skopeo podman curl jq

start_registry hub "$REFERENCE" "$work/hub"
start_registry ghcr "$REFERENCE" "$work/ghcr"
make_image "$work/app" --layers 3 --bytes 500000 --seed routes >/dev/null
index=$(make_image "$work/index" --seed routes --platforms amd64,arm64)
skopeo_copy "oci:$work/index:latest" "docker://$hub_host/library/hello:latest" --all
skopeo_copy "oci:$work/app:latest" "docker://$ghcr_host/owner/app:1.0"
skopeo_copy "oci:$work/index:latest" "docker://$ghcr_host/owner/index:1.0" --all
app=$(digest_of "$ghcr_url" owner/app 1.0)
upstreams="
  upstreams:
    - {name: docker.io, url: '$hub_url', hosts: [docker.io], default: true}
    - {name: ghcr.io, url: '$ghcr_url', hosts: [ghcr.io], virtualhosts: [ghcr.mirror.test], prefixes: [gh]}"
start_registry sut "$SUT" "$work/sut" "proxy: $upstreams"

# --- every form leads to one place

check_equal 'by path' "$(digest_of "$sut_url" ghcr.io/owner/app 1.0)" "$app"
check_equal 'by prefix' "$(digest_of "$sut_url" gh/owner/app 1.0)" "$app"
check_equal 'by ns' "$(curl -sf -I -H "$accept" "$sut_url/v2/owner/app/manifests/1.0?ns=ghcr.io" | header docker-content-digest)" "$app"
check_equal 'ns is answered with OCI-Namespace' \
  "$(curl -sf -I -H "$accept" "$sut_url/v2/owner/app/manifests/1.0?ns=ghcr.io" | header oci-namespace)" ghcr.io
check_equal 'by the Host header' \
  "$(curl -sf -I -H "$accept" -H 'Host: ghcr.mirror.test' "$sut_url/v2/owner/app/manifests/1.0" | header docker-content-digest)" "$app"
check_equal 'an ns that is not mirrored is 404' "$(status_of "$sut_url/v2/owner/app/manifests/1.0?ns=quay.io")" 404
check_equal 'an ns that is an address is 404' "$(status_of "$sut_url/v2/owner/app/manifests/1.0?ns=127.0.0.1:1")" 404
check_equal 'the upstream was asked for the manifest once' "$(requests_in "$ghcr_log" GET /v2/owner/app/manifests/)" 1
check_equal 'the catalog has one repository of it' "$(curl -sf "$sut_url/v2/_catalog" | jq -r '.repositories | join(" ")')" ghcr.io/owner/app

# --- registries.conf

cat >"$CONTAINERS_REGISTRIES_CONF" <<T
unqualified-search-registries = ["docker.io"]
[[registry]]
location = "docker.io"
[[registry.mirror]]
location = "$sut_host"
insecure = true
[[registry]]
location = "ghcr.io"
[[registry.mirror]]
location = "$sut_host/ghcr.io"
insecure = true
T
check 'podman pulls docker.io/library/hello through the mirror' podman_ pull -q --arch arm64 docker.io/library/hello:latest
check 'podman pulls ghcr.io/owner/app through the mirror' podman_ pull -q ghcr.io/owner/app:1.0
check 'skopeo pulls ghcr.io/owner/index through the mirror' \
  skopeo --registries-conf "$CONTAINERS_REGISTRIES_CONF" copy --quiet --insecure-policy --all docker://ghcr.io/owner/index:1.0 "oci:$work/skopeo:latest"
check 'it comes through byte for byte' diff -r "$work/index/blobs" "$work/skopeo/blobs"
check_equal 'every blob of ghcr.io was fetched at most once' \
  "$(grep -a -o '"GET /v2/[^ ]*/blobs/[^ ]*' "$ghcr_log" | sort | uniq -c | awk '$1 > 1' | wc -l)" 0

# --- a mirror of a mirror

start_registry outer "$SUT" "$work/outer" "proxy: {remoteurl: '$sut_url'}"
check_equal 'through two mirrors: the default upstream' "$(digest_of "$outer_url" library/hello latest)" "$index"
check_equal 'through two mirrors: a registry named in the path' "$(digest_of "$outer_url" ghcr.io/owner/app 1.0)" "$app"
check 'skopeo copies through two mirrors' skopeo_copy "docker://$outer_host/ghcr.io/owner/index:1.0" "oci:$work/twice:latest" --all
check 'that comes through byte for byte, too' diff -r "$work/index/blobs" "$work/twice/blobs"

# --- everything gone

stop "$hub_pid"
stop "$ghcr_pid"
podman_ rmi -a -f >/dev/null
check 'with the upstreams gone podman pulls from the cache' podman_ pull -q ghcr.io/owner/app:1.0
stop "$sut_pid"
check_equal 'with the inner mirror gone the outer serves what it has' "$(digest_of "$outer_url" ghcr.io/owner/app 1.0)" "$app"
