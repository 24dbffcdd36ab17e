# podman with Entrepôt as the mirror of docker.io in registries.conf: names stay docker.io/…, bytes come through the cache.
. "$(dirname "$0")/lib.sh"
need docker-registry skopeo podman

start_registry upstream "$REFERENCE" "$work/upstream"
make_image "$work/image" --layers 3 --bytes 500000 --seed hub >/dev/null
make_image "$work/index" --seed hub --platforms amd64,arm64 >/dev/null
skopeo_copy "oci:$work/image:latest" "docker://$upstream_host/library/hello:latest"
skopeo_copy "oci:$work/index:latest" "docker://$upstream_host/some/app:1.0" --all
start_registry sut "$SUT" "$work/sut" "proxy: {remoteurl: '$upstream_url'}"
cat >"$CONTAINERS_REGISTRIES_CONF" <<T
unqualified-search-registries = ["docker.io"]
[[registry]]
location = "docker.io"
blocked = false
[[registry.mirror]]
location = "$sut_host"
insecure = true
T

check 'podman pulls docker.io/library/hello through the mirror' podman_ pull -q docker.io/library/hello:latest
check_equal 'the image keeps its docker.io name' "$(podman_ images --format '{{.Repository}}:{{.Tag}}')" docker.io/library/hello:latest
check 'podman pulls one platform of an index through the mirror' podman_ pull -q --arch arm64 docker.io/some/app:1.0
digest=$(digest_of "$sut_url" library/hello latest)
check 'podman pulls by digest through the mirror' podman_ pull -q "docker.io/library/hello@$digest"
check_equal 'every blob was fetched once' \
  "$(grep -a -o '"GET /v2/library/hello/blobs/[^ ]*' "$upstream_log" | sort | uniq -c | awk '{ print $1 }' | sort -u)" 1

stop "$upstream_pid"
podman_ rmi -a -f >/dev/null
check 'with the upstream gone podman pulls what is cached' podman_ pull -q docker.io/library/hello:latest
check 'with the upstream gone podman pulls a cached platform' podman_ pull -q --arch arm64 docker.io/some/app:1.0
check_fails 'with the upstream gone podman cannot pull what is not cached' podman_ pull -q docker.io/library/never:latest
