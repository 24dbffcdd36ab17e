# buildah against a plain registry: builds from scratch, pushes, pulls, builds on what it pulled.
. "$(dirname "$0")/lib.sh"
need buildah jq

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
