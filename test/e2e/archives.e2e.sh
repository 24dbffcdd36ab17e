# Archives of images: what skopeo writes is imported, and what is exported skopeo reads.
. "$(dirname "$0")/lib.sh"
need skopeo curl jq tar

start_registry sut "$SUT" "$work/sut"
image=$(make_image "$work/image" --layers 3 --seed archives)
index=$(make_image "$work/index" --seed archives --platforms amd64,arm64)
export REGISTRY_CONFIGURATION_PATH=$work/sut.yml

check 'an OCI layout is imported' "$SUT" import "$work/image" --repository team/app --tag 1.0
check_equal 'the running registry has it' "$(digest_of "$sut_url" team/app 1.0)" "$image"
check 'it is imported again' "$SUT" import "$work/image" --repository team/app --tag 1.0
check 'skopeo pulls what was imported' skopeo_copy "docker://$sut_host/team/app:1.0" "oci:$work/back:latest"
check 'blobs come back byte for byte' diff -r "$work/image/blobs" "$work/back/blobs"

check 'skopeo writes an OCI archive' skopeo_copy "oci:$work/index:latest" "oci-archive:$work/index.tar:latest" --all
check 'an OCI archive with an index is imported' "$SUT" import "$work/index.tar" --repository team/index
check_equal 'the index keeps its digest' "$(digest_of "$sut_url" team/index latest)" "$index"
check 'an index is exported' "$SUT" export team/index:latest --output "$work/index-out.tar"
check 'skopeo reads it' skopeo_copy "oci-archive:$work/index-out.tar" "oci:$work/index-back:latest" --all
check 'index and both children are the same' diff -r "$work/index/blobs" "$work/index-back/blobs"

check 'skopeo writes a docker archive' skopeo_copy "oci:$work/image:latest" "docker-archive:$work/docker.tar:team/docker:2.0"
check 'a docker archive is imported' "$SUT" import "$work/docker.tar"
check 'skopeo pulls its image' skopeo_copy "docker://$sut_host/team/docker:2.0" "dir:$work/docker"
gzip -k "$work/docker.tar"
check 'a docker archive with gzip is imported' "$SUT" import "$work/docker.tar.gz" --repository team/gzip
check_equal 'it has the same digest' "$(digest_of "$sut_url" team/gzip 2.0)" "$(digest_of "$sut_url" team/docker 2.0)"
check 'a docker archive is exported' "$SUT" export team/app:1.0 --format docker --platform linux/amd64 --output "$work/docker-out.tar"
check 'skopeo reads it' skopeo_copy "docker-archive:$work/docker-out.tar" "dir:$work/docker-back"
check_equal 'it has every layer' "$(jq '.layers | length' "$work/docker-back/manifest.json")" 3
check_fails 'what is no archive is refused' "$SUT" import "$work/sut.yml" --repository team/none
