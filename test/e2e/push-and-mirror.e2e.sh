# Push and mirror in one instance: what was pushed stays what it is, whatever the upstream holds under the same name.
. "$(dirname "$0")/lib.sh"
need docker-registry skopeo curl jq

for letter in a b c; do declare "image_$letter=$(make_image "$work/$letter" --seed "image $letter")"; done
start_registry upstream "$REFERENCE" "$work/upstream"
for name in team/app team/other library/hello; do skopeo_copy "oci:$work/a:latest" "docker://$upstream_host/$name:1"; done
mirror="proxy: {remoteurl: '$upstream_url', cache: {tagttl: 0s}}"
start_registry sut "$SUT" "$work/sut" "$mirror"

check 'a push to a mirror succeeds' skopeo_copy "oci:$work/b:latest" "docker://$sut_host/team/app:1"
check_equal 'a pushed tag wins over the upstream'"'"'s' "$(digest_of "$sut_url" team/app 1)" "$image_b"
skopeo_copy "oci:$work/c:latest" "docker://$upstream_host/team/app:1"
check_equal 'a pushed tag stays when the upstream'"'"'s moves' "$(digest_of "$sut_url" team/app 1)" "$image_b"
check 'what was pushed is pulled' skopeo_copy "docker://$sut_host/team/app:1" "oci:$work/b-back:latest"
check 'what was pushed comes back byte for byte' diff -r "$work/b/blobs" "$work/b-back/blobs"

check_equal 'a name that nobody pushed is mirrored' "$(digest_of "$sut_url" library/hello 1)" "$image_a"
check 'a new name is pushed' skopeo_copy "oci:$work/b:latest" "docker://$sut_host/private/app:1"
check_equal 'a new name is served' "$(digest_of "$sut_url" private/app 1)" "$image_b"
check 'a new tag beside mirrored ones is pushed' skopeo_copy "oci:$work/b:latest" "docker://$sut_host/library/hello:mine"
check_equal 'the new tag is served' "$(digest_of "$sut_url" library/hello mine)" "$image_b"
check_equal 'the mirrored tag beside it is served' "$(digest_of "$sut_url" library/hello 1)" "$image_a"
check_equal 'both are listed' "$(curl -sf "$sut_url/v2/library/hello/tags/list" | jq -c .tags)" '["1","mine"]'

check_equal 'a tag is mirrored first' "$(digest_of "$sut_url" team/other 1)" "$image_a"
check 'and pushed afterwards' skopeo_copy "oci:$work/b:latest" "docker://$sut_host/team/other:1"
check_equal 'then the push wins' "$(digest_of "$sut_url" team/other 1)" "$image_b"
check 'a mirrored image is copied to a name of ours' skopeo_copy "docker://$sut_host/library/hello:1" "docker://$sut_host/private/hello:1"
check_equal 'the copy has the digest' "$(digest_of "$sut_url" private/hello 1)" "$image_a"

sent=$(grep -a -E '"(POST|PUT|PATCH|DELETE) ' "$upstream_log" | grep -v 'skopeo/' || true)
check_equal 'nothing was pushed upstream by the mirror' "$sent" ''
stop "$sut_pid"
start_registry sut "$SUT" "$work/sut" "$mirror"
check_equal 'a pushed tag survives a restart' "$(digest_of "$sut_url" team/app 1)" "$image_b"
check_equal 'a tag pushed over a mirrored one survives a restart' "$(digest_of "$sut_url" team/other 1)" "$image_b"
stop "$upstream_pid"
check_equal 'pushed tags need no upstream' "$(digest_of "$sut_url" private/app 1)" "$image_b"
