# buildah against a plain registry: builds from scratch, pushes, pulls, builds on what it pulled.
. "$(dirname "$0")/lib.sh"
need buildah curl jq

start_registry sut "$SUT" "$work/sut"
mkdir -p "$work/context"
head -c 300000 /dev/urandom >"$work/context/payload"
printf 'FROM scratch\nCOPY payload /payload\nLABEL kind=base\n' >"$work/context/Containerfile"

check 'buildah builds from scratch' buildah_ build -q -t "$sut_host/build/base:1" "$work/context"
check 'buildah pushes' buildah_ push -q --tls-verify=false "$sut_host/build/base:1"
buildah_ rmi -a -f >/dev/null
printf 'FROM %s/build/base:1\nCOPY Containerfile /Containerfile\nLABEL kind=derived\n' "$sut_host" >"$work/context/Containerfile"
check 'buildah pulls the base of a build' buildah_ build -q --tls-verify=false -t "$sut_host/build/derived:1" "$work/context"
check 'buildah pushes what shares a layer with the base' buildah_ push -q --tls-verify=false "$sut_host/build/derived:1"
check 'buildah pushes Docker schema 2' buildah_ push -q --tls-verify=false --format v2s2 "$sut_host/build/derived:1" "docker://$sut_host/build/derived:schema2"
buildah_ rmi -a -f >/dev/null
check 'buildah pulls' buildah_ pull -q --tls-verify=false "$sut_host/build/derived:1"
check_equal 'buildah has what it built' \
  "$(buildah_ inspect --type image "$sut_host/build/derived:1" | jq -r '.OCIv1.config.Labels.kind')" derived
container=$(buildah_ from --pull-never "$sut_host/build/derived:1")
check 'the content is what was pushed' cmp "$work/context/payload" "$(buildah_ mount "$container")/payload"

# One image for each platform, and a list of them.
for arch in amd64 arm64; do
  printf 'FROM scratch\nCOPY payload /payload\nLABEL arch=%s\n' "$arch" >"$work/context/Containerfile"
  check "buildah builds for $arch" buildah_ build -q --platform "linux/$arch" -t "localhost/multi:$arch" "$work/context"
done
check 'buildah makes a manifest list' buildah_ manifest create multi localhost/multi:amd64 localhost/multi:arm64
check 'buildah pushes a manifest list with all it lists' \
  buildah_ manifest push --all --tls-verify=false multi "docker://$sut_host/build/multi:1"
check 'buildah pushes it as an index' \
  buildah_ manifest push --all --format oci --tls-verify=false multi "docker://$sut_host/build/multi:oci"
check_equal 'the list has both platforms' \
  "$(curl -sSf -H "$accept" "$sut_url/v2/build/multi/manifests/1" | jq -r '.manifests | map(.platform.architecture) | sort | join(",")')" amd64,arm64
for digest in $(curl -sSf -H "$accept" "$sut_url/v2/build/multi/manifests/oci" | jq -r '.manifests[].digest'); do
  check_equal "what the index lists is there: ${digest:0:19}" "$(digest_of "$sut_url" build/multi "$digest")" "$digest"
done
buildah_ manifest rm multi >/dev/null
buildah_ rmi -a -f >/dev/null
check 'buildah pulls another platform' buildah_ pull -q --tls-verify=false --arch arm64 "$sut_host/build/multi:1"
check_equal 'it is the platform that was asked for' \
  "$(buildah_ inspect --type image "$sut_host/build/multi:1" | jq -r '.OCIv1.config.Labels.arch')" arm64
check 'buildah builds for a platform on a list' \
  buildah_ build -q --tls-verify=false --platform linux/arm64 -t "$sut_host/build/on-multi:1" - <<<"FROM $sut_host/build/multi:oci"
