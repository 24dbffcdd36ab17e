# skopeo between two Entrepôts, one the mirror of the other: several platforms, zstd layers, whole repositories with sync,
# pushed to one and read through the other.
. "$(dirname "$0")/lib.sh"
need skopeo curl jq

start_registry sut "$SUT" "$work/sut"
start_registry mirror "$SUT" "$work/mirror" "proxy: {remoteurl: '$sut_url', cache: {tagttl: 0s}}"
start_registry target "$SUT" "$work/target"
image=$(make_image "$work/image" --layers 3 --seed chain)
index=$(make_image "$work/index" --layers 2 --seed chain --platforms amd64,arm64,s390x)

skopeo_copy "oci:$work/image:latest" "docker://$sut_host/team/app:1.0"
check 'skopeo pushes several platforms' skopeo_copy "oci:$work/index:latest" "docker://$sut_host/team/app:2.0" --all
check 'skopeo pulls them through the mirror' skopeo_copy "docker://$mirror_host/team/app:2.0" "oci:$work/back:latest" --all
check 'they come through byte for byte' diff -r "$work/index/blobs" "$work/back/blobs"
check 'skopeo copies them from the mirror to a third registry' \
  skopeo_copy "docker://$mirror_host/team/app:2.0" "docker://$target_host/copy/app:2.0" --all
check_equal 'the copy has the digest' "$(digest_of "$target_url" copy/app 2.0)" "$index"

make_image "$work/gzip" --layers 2 --bytes 100000 --seed zstd >/dev/null # layers that are nowhere yet: skopeo takes what it finds
check 'skopeo pushes zstd layers' skopeo_copy "oci:$work/gzip:latest" "docker://$sut_host/team/zstd:1.0" --dest-compress-format zstd --format oci
check 'skopeo pulls zstd layers through the mirror' skopeo_copy "docker://$mirror_host/team/zstd:1.0" "dir:$work/zstd"
skopeo inspect --raw --tls-verify=false "docker://$mirror_host/team/zstd:1.0" >"$work/zstd.json"
check_equal 'they have the media type of zstd' "$(jq -r '.layers[].mediaType' "$work/zstd.json" | sort -u)" \
  application/vnd.oci.image.layer.v1.tar+zstd
for digest in $(jq -r '.layers[].digest' "$work/zstd.json"); do
  check_equal "${digest:0:19} is the content it says" "$(sha256_of "$work/zstd/${digest#sha256:}")" "$digest"
done
check_equal 'zstd: the mirror gives the same manifest' "$(digest_of "$mirror_url" team/zstd 1.0)" "$(digest_of "$sut_url" team/zstd 1.0)"

for tag in 1.1 1.2; do skopeo_copy "oci:$work/image:latest" "docker://$sut_host/team/app:$tag"; done
check 'skopeo syncs a repository of the mirror to a folder' \
  skopeo sync --all --src docker --dest dir --src-tls-verify=false "$mirror_host/team/app" "$work/synced"
check_equal 'every tag is there' "$(ls "$work/synced" | sort | xargs)" 'app:1.0 app:1.1 app:1.2 app:2.0'
check 'skopeo syncs the folder to a third registry' \
  skopeo sync --all --src dir --dest docker --dest-tls-verify=false "$work/synced" "$target_host/synced"
check_equal 'the third registry has every tag' "$(curl -sSf "$target_url/v2/synced/app/tags/list" | jq -r '.tags | join(" ")')" '1.0 1.1 1.2 2.0'
check_equal 'with the digest of an image' "$(digest_of "$target_url" synced/app 1.0)" "$image"
check_equal 'with the digest of an index' "$(digest_of "$target_url" synced/app 2.0)" "$index"
check 'skopeo syncs from registry to registry' \
  skopeo sync --all --src docker --dest docker --src-tls-verify=false --dest-tls-verify=false "$mirror_host/team/app" "$target_host/again"
check_equal 'with the digest of an index as well' "$(digest_of "$target_url" again/app 2.0)" "$index"
check_equal 'tags through the mirror are the registry'"'"'s' \
  "$(skopeo list-tags --tls-verify=false "docker://$mirror_host/team/app" | jq -r '.Tags | join(" ")')" '1.0 1.1 1.2 2.0'
