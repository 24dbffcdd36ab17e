# dockerd: pushes and pulls at one Entrepôt, and pulls docker.io's names through a second that is its registry mirror.
. "$(dirname "$0")/lib.sh"
need dockerd docker containerd ctr skopeo curl jq

start_registry sut "$SUT" "$work/sut"
start_registry mirror "$SUT" "$work/mirror" "proxy: {remoteurl: '$sut_url', cache: {tagttl: 0s}}"
image=$(make_image "$work/image" --layers 3 --bytes 200000 --seed dockerd)
index=$(make_image "$work/index" --layers 2 --seed dockerd --platforms amd64,arm64)
skopeo_copy "oci:$work/image:latest" "docker://$sut_host/library/hello:1.0"
skopeo_copy "oci:$work/index:latest" "docker://$sut_host/some/app:latest" --all

start_containerd
socket=unix://$work/dockerd.sock
start_daemon dockerd "docker --host $socket version" dockerd --host "$socket" --containerd "$containerd_socket" \
  --data-root "$work/docker/data" --exec-root "$work/docker/run" --pidfile "$work/docker.pid" --storage-driver vfs \
  --iptables=false --ip6tables=false --bridge none --registry-mirror "$mirror_url"
docker_() { docker --host "$socket" "$@"; }
# The digests under which an image is known.
digests_of() { docker_ image inspect --format '{{range .RepoDigests}}{{println .}}{{end}}' "$1" | sed -n 's/.*@//p' | sort -u | xargs; }

check 'dockerd pulls docker.io/library/hello through the mirror' docker_ pull -q hello:1.0
check_equal 'it has the digest that was pushed upstream' "$(digests_of hello:1.0)" "$image"
check_below 'the mirror was asked for it' 0 "$(requests_in "$mirror_log" GET /v2/library/hello/manifests/)"
check 'dockerd pulls its platform of an index through the mirror' docker_ pull -q some/app
check_equal 'it has the digest of the index' "$(digests_of some/app)" "$index"
check 'dockerd pulls by digest through the mirror' docker_ pull -q "hello@$image"
for blob in $(jq -r '.layers[].digest' "$work/image/blobs/sha256/${image#sha256:}"); do
  check_equal "the mirror fetched ${blob:0:19} once" "$(requests_in "$sut_log" GET "/v2/library/hello/blobs/$blob")" 1
done

docker_ tag hello:1.0 "$sut_host/team/app:1.0"
docker_ tag hello:1.0 "$sut_host/team/twin:1.0"
check 'dockerd pushes' docker_ push -q "$sut_host/team/app:1.0"
check 'dockerd pushes to a second repository, where it may mount' docker_ push -q "$sut_host/team/twin:1.0"
check_equal 'dockerd finds what it pushed' "$(digest_of "$sut_url" team/twin 1.0)" "$(digest_of "$sut_url" team/app 1.0)"
id=$(docker_ image inspect --format '{{.Id}}' "$sut_host/team/app:1.0")
docker_ image prune -a -f >/dev/null
check 'dockerd pulls what it pushed' docker_ pull -q "$sut_host/team/app:1.0"
check_equal 'it is the same image' "$(docker_ image inspect --format '{{.Id}}' "$sut_host/team/app:1.0")" "$id"
check_equal 'its content is what it was' \
  "$(docker_ image inspect --format '{{.Config.Labels.seed}}' "$sut_host/team/app:1.0")" dockerd
check_fails 'dockerd cannot pull an unknown tag' docker_ pull -q "$sut_host/team/app:no-such"
printf 'FROM some/app\nCOPY index.json /\nLABEL kind=built\n' >"$work/image/Dockerfile"
check 'dockerd builds on an image that comes through the mirror' \
  env DOCKER_BUILDKIT=0 docker --host "$socket" build -q -t "$sut_host/team/built:1.0" "$work/image"
check 'dockerd pushes what it built' docker_ push -q "$sut_host/team/built:1.0"
check_equal 'skopeo finds it' \
  "$(skopeo inspect --config --tls-verify=false "docker://$sut_host/team/built:1.0" | jq -r .config.Labels.kind)" built

docker_ image prune -a -f >/dev/null
stop "$sut_pid"
check 'with the upstream gone dockerd pulls what is cached' docker_ pull -q hello:1.0
check_equal 'it is still the same' "$(digests_of hello:1.0)" "$image"
stop "$dockerd_pid"
