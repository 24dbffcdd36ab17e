# skopeo against a plain registry: every form of image in and out, and all that is asked about it.
. "$(dirname "$0")/lib.sh"
need skopeo curl jq

start_registry sut "$SUT" "$work/sut"
start_registry other "$REFERENCE" "$work/other"
image=$(make_image "$work/image" --layers 3 --seed skopeo)
index=$(make_image "$work/index" --seed skopeo --platforms amd64,arm64)

check 'skopeo pushes an OCI layout' skopeo_copy "oci:$work/image:latest" "docker://$sut_host/team/app:1.0"
check_equal 'the tag has the digest that was pushed' "$(digest_of "$sut_url" team/app 1.0)" "$image"
check 'skopeo pushes the same again' skopeo_copy "oci:$work/image:latest" "docker://$sut_host/team/app:1.0"
check 'skopeo pulls to an OCI layout' skopeo_copy "docker://$sut_host/team/app:1.0" "oci:$work/back:latest"
check 'blobs come back byte for byte' diff -r "$work/image/blobs" "$work/back/blobs"
check 'skopeo pulls by digest' skopeo_copy "docker://$sut_host/team/app@$image" "oci:$work/by-digest:latest"
check 'blobs pulled by digest are the same' diff -r "$work/image/blobs" "$work/by-digest/blobs"

check 'skopeo pushes an index' skopeo_copy "oci:$work/index:latest" "docker://$sut_host/team/index:latest" --all
check_equal 'the tag has the digest of the index' "$(digest_of "$sut_url" team/index latest)" "$index"
check 'skopeo pulls an index' skopeo_copy "docker://$sut_host/team/index:latest" "oci:$work/index-back:latest" --all
check 'index and both children come back byte for byte' diff -r "$work/index/blobs" "$work/index-back/blobs"
check 'skopeo picks one platform of an index' \
  skopeo --override-arch arm64 copy -q --insecure-policy --src-tls-verify=false "docker://$sut_host/team/index:latest" "dir:$work/arm64"
check_equal 'the picked platform is the one asked' \
  "$(jq -r .architecture "$work/arm64/$(jq -r '.config.digest[7:]' "$work/arm64/manifest.json")")" arm64

check 'skopeo pulls to a dir' skopeo_copy "docker://$sut_host/team/app:1.0" "dir:$work/dir"
check 'skopeo pushes a dir' skopeo_copy "dir:$work/dir" "docker://$sut_host/team/from-dir:1.0"
check_equal 'a dir keeps the digest' "$(digest_of "$sut_url" team/from-dir 1.0)" "$image"
check 'skopeo pulls to a docker-archive' skopeo_copy "docker://$sut_host/team/app:1.0" "docker-archive:$work/app.tar:team/app:1.0"
check 'skopeo pushes a docker-archive' skopeo_copy "docker-archive:$work/app.tar" "docker://$sut_host/team/archive:1.0"
check 'skopeo pushes Docker schema 2' \
  skopeo_copy "oci:$work/image:latest" "docker://$sut_host/team/schema2:1.0" --format v2s2
check_equal 'Docker schema 2 comes back under its media type' \
  "$(skopeo inspect --raw --tls-verify=false "docker://$sut_host/team/schema2:1.0" | jq -r .mediaType)" \
  application/vnd.docker.distribution.manifest.v2+json
check 'skopeo pushes a Docker manifest list' \
  skopeo_copy "oci:$work/index:latest" "docker://$sut_host/team/list:1.0" --all --format v2s2
check 'skopeo pulls Docker schema 2' skopeo_copy "docker://$sut_host/team/schema2:1.0" "dir:$work/schema2"

for tag in 1.1 1.2 2.0; do skopeo_copy "oci:$work/image:latest" "docker://$sut_host/team/app:$tag"; done
check_equal 'skopeo lists tags' \
  "$(skopeo list-tags --tls-verify=false "docker://$sut_host/team/app" | jq -c .Tags)" '["1.0","1.1","1.2","2.0"]'
check_equal 'skopeo inspects' \
  "$(skopeo inspect --tls-verify=false "docker://$sut_host/team/app:1.0" | jq -c '[.Digest, .Architecture, (.Layers | length)]')" \
  "[\"$image\",\"amd64\",3]"
check_equal 'skopeo inspects the config' \
  "$(skopeo inspect --config --tls-verify=false "docker://$sut_host/team/app:1.0" | jq -r .config.Labels.seed)" skopeo

check 'skopeo copies to another registry' skopeo_copy "docker://$sut_host/team/index:latest" "docker://$other_host/a/index:latest" --all
check_equal 'the other registry has the digest' "$(digest_of "$other_url" a/index latest)" "$index"
check 'skopeo copies from another registry' skopeo_copy "docker://$other_host/a/index:latest" "docker://$sut_host/b/index:latest" --all
check_equal 'the copy has the digest' "$(digest_of "$sut_url" b/index latest)" "$index"
check 'skopeo copies between repositories' skopeo_copy "docker://$sut_host/team/app:1.0" "docker://$sut_host/moved/app:1.0"
check 'skopeo sync copies a repository' skopeo sync --src docker --dest dir --src-tls-verify=false "$sut_host/team/app" "$work/synced"
check_equal 'skopeo sync found every tag' "$(find "$work/synced" -name manifest.json | wc -l)" 4

check 'skopeo deletes' skopeo delete --tls-verify=false "docker://$sut_host/moved/app:1.0"
check_fails 'what was deleted cannot be pulled' skopeo_copy "docker://$sut_host/moved/app:1.0" "dir:$work/gone"
check 'another repository keeps the same image' skopeo_copy "docker://$sut_host/team/app:1.0" "dir:$work/kept"
check_fails 'an unknown repository cannot be pulled' skopeo_copy "docker://$sut_host/no/such:1.0" "dir:$work/none"
