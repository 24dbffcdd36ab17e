# containerd with `ctr`: a client that shares no code with skopeo, podman and buildah. Pushes and pulls at one Entrepôt, and
# pulls docker.io's names through a second that is named as its mirror in hosts.toml.
. "$(dirname "$0")/lib.sh"
need containerd ctr skopeo curl jq

start_containerd
start_registry sut "$SUT" "$work/sut"
image=$(make_image "$work/image" --layers 3 --bytes 200000 --seed containerd)
index=$(make_image "$work/index" --layers 2 --seed containerd --platforms amd64,arm64)
skopeo_copy "oci:$work/image:latest" "docker://$sut_host/team/app:1.0"
skopeo_copy "oci:$work/index:latest" "docker://$sut_host/library/index:latest" --all
skopeo_copy "oci:$work/index:latest" "docker://$sut_host/library/hub:latest" --all
skopeo_copy "oci:$work/index:latest" "docker://$sut_host/some/app:1.0" --all

# The snapshotter that works on every file system.
ctr_() { ctr --address "$containerd_socket" --namespace e2e "$@"; }
pull() { ctr_ images pull --snapshotter native --plain-http "$@"; }
target_of() { ctr_ images list "name==$1" | awk 'NR == 2 { print $3 }'; }
# Takes away all images, and then the content, which no image holds any more.
forget() {
  local names
  names=$(ctr_ images list -q)
  [ -z "$names" ] || ctr_ images remove --sync $names >/dev/null
}

check 'containerd pulls' pull "$sut_host/team/app:1.0"
check_equal 'it has the digest that was pushed' "$(target_of "$sut_host/team/app:1.0")" "$image"
for blob in "$work"/image/blobs/sha256/*; do
  name=$(basename "$blob")
  check "it has ${name:0:12} byte for byte" cmp "$blob" <(ctr_ content get "sha256:$name")
done
check 'containerd pulls every platform of an index' pull --all-platforms "$sut_host/library/index:latest"
check_equal 'it has the digest of the index' "$(target_of "$sut_host/library/index:latest")" "$index"
check 'containerd pulls by digest' pull "$sut_host/team/app@$image"
check_fails 'containerd cannot pull an unknown tag' pull "$sut_host/team/app:no-such"

check 'containerd pushes under another name' \
  ctr_ images push --plain-http "$sut_host/copy/app:2.0" "$sut_host/team/app:1.0"
check_equal 'the push kept the digest' "$(digest_of "$sut_url" copy/app 2.0)" "$image"
check 'containerd pushes an index' \
  ctr_ images push --plain-http "$sut_host/copy/index:latest" "$sut_host/library/index:latest"
check_equal 'the index kept its digest' "$(digest_of "$sut_url" copy/index latest)" "$index"
check 'what containerd pushed is pulled with skopeo' skopeo_copy "docker://$sut_host/copy/index:latest" "oci:$work/back:latest" --all
check 'it is what was pulled' diff -r "$work/index/blobs" "$work/back/blobs"
forget

start_registry mirror "$SUT" "$work/mirror" "proxy: {remoteurl: '$sut_url', cache: {tagttl: 0s}}"
mkdir -p "$work/hosts/docker.io"
cat >"$work/hosts/docker.io/hosts.toml" <<T
server = "http://127.0.0.1:9"
[host."$mirror_url"]
  capabilities = ["pull", "resolve"]
T
through() { ctr_ images pull --snapshotter native --hosts-dir "$work/hosts" "$@"; }
check 'containerd pulls docker.io/library/hub through the mirror' through --all-platforms docker.io/library/hub:latest
check_equal 'the index came through with its digest' "$(target_of docker.io/library/hub:latest)" "$index"
check_below 'containerd said whose name it was' 0 "$(requests_in "$mirror_log" HEAD '/v2/library/hub/manifests/latest?ns=docker.io')"
check 'containerd pulls one platform through the mirror' through --platform linux/arm64 docker.io/some/app:1.0
for blob in "$work"/index/blobs/sha256/*; do
  name=$(basename "$blob")
  check_below "the mirror fetched ${name:0:12} at most once" "$(requests_in "$sut_log" GET "/v2/library/hub/blobs/sha256:$name")" 2
done
forget
stop "$sut_pid"
check 'with the upstream gone containerd pulls what is cached' through docker.io/library/hub:latest
check_equal 'it is still the same' "$(target_of docker.io/library/hub:latest)" "$index"

# --- one hosts.toml for all registries

start_registry ghcr "$SUT" "$work/ghcr"
skopeo_copy "oci:$work/image:latest" "docker://$ghcr_host/owner/app:1.0"
start_registry all "$SUT" "$work/all" "proxy: {upstreams: [{name: ghcr.io, url: '$ghcr_url', hosts: [ghcr.io]}]}"
mkdir -p "$work/any/_default"
cat >"$work/any/_default/hosts.toml" <<T
[host."$all_url"]
  capabilities = ["pull", "resolve"]
T
any() { ctr_ images pull --snapshotter native --hosts-dir "$work/any" "$@"; }
check 'containerd pulls ghcr.io/owner/app through a mirror of all registries' any ghcr.io/owner/app:1.0
check_equal 'it has its digest' "$(target_of ghcr.io/owner/app:1.0)" "$image"
check_equal 'the mirror keeps it under the name of its registry' \
  "$(curl -sf "$all_url/v2/_catalog" | jq -r '.repositories | join(" ")')" ghcr.io/owner/app
