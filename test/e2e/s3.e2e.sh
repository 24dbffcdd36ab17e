# The S3 driver against Ceph's gateway: pushes and pulls, streamed and by redirect, the same keys and bytes as on a file
# system, uploads that go on in another process or after a kill, purging, and a mirror that stores in a bucket.
. "$(dirname "$0")/lib.sh"
. "$project/test/e2e/ceph.sh"
need ceph-mon ceph-osd radosgw ceph skopeo curl jq

start_ceph
export S3_URL=$s3_url S3_ACCESS=$s3_access S3_SECRET=$s3_secret S3_BUCKET=images
s3() { NODE_NO_WARNINGS=1 node "$project/test/e2e/s3-client.mjs" "$@"; }
s3 make-bucket

# Of a section that occurs twice the last one counts, so that this takes the place of the file system.
s3_storage() { # root directory, more keys of storage
  local more='redirect: {disable: true}'
  echo "storage: {s3: {bucket: images, region: us-east-1, regionendpoint: '$s3_url', accesskey: $s3_access, secretkey: $s3_secret, \
rootdirectory: $1, chunksize: 5242880}, delete: {enabled: true}, ${2:-$more}}"
}

make_image "$work/one" --layers 2 --seed one >/dev/null
make_image "$work/multi" --seed multi --platforms amd64,arm64 >/dev/null
head -c 23000001 /dev/urandom >"$work/blob"
digest=$(sha256_of "$work/blob")

# --- the same pushes, on a file system and in a bucket

push_everything() { # host
  skopeo_copy "oci:$work/one:latest" "docker://$1/library/app:latest"
  skopeo_copy "oci:$work/multi:latest" "docker://$1/a.b/c__d/e--f:multi" --all
  skopeo_copy "oci:$work/one:latest" "docker://$1/docker/schema2:1" --format v2s2
  push_blob "http://$1" blobs/only "$work/blob"
}

start_registry disk "$SUT" "$work/disk" 'catalog: {maxentries: 100}'
start_registry sut "$SUT" "$work/none" "$(s3_storage /one)"
check 'pushes to a file system' push_everything "$disk_host"
check 'the same pushes to a bucket' push_everything "$sut_host"
mkdir "$work/bucket"
s3 download "$work/bucket" one/
check_equal 'a file system and a bucket have the same names' \
  "$(cd "$work/bucket/one" && find docker -type f -not -path '*/_uploads/*' | sort)" \
  "$(cd "$work/disk" && find docker -type f -not -path '*/_uploads/*' | sort)"
check 'and the same bytes' diff -r --exclude=_uploads --exclude=_mirror --exclude=_referrers \
  "$work/bucket/one/docker/registry/v2" "$work/disk/docker/registry/v2"
check_equal 'no upload session is left' "$(s3 keys one/ | grep _uploads)" ''
check_equal 'nor an upload to S3' "$(s3 uploads)" ''
check_equal 'the catalog is the same' "$(curl -sf "$sut_url/v2/_catalog")" "$(curl -sf "$disk_url/v2/_catalog")"

# --- pulls

curl -sf -o "$work/back" "$sut_url/v2/blobs/only/blobs/$digest"
check 'a blob of several parts is whole' cmp "$work/blob" "$work/back"
curl -sf -o "$work/back" -H 'Range: bytes=5242870-5242889' "$sut_url/v2/blobs/only/blobs/$digest"
check 'a range of it, too' cmp <(tail -c +5242871 "$work/blob" | head -c 20) "$work/back"
check 'skopeo pulls, streamed' skopeo_copy "docker://$sut_host/library/app:latest" "dir:$work/streamed"
check 'skopeo pulls an index, streamed' skopeo_copy "docker://$sut_host/a.b/c__d/e--f:multi" "dir:$work/streamed-multi" --all

start_registry redirecting "$SUT" "$work/none" "$(s3_storage /one 'redirect: {disable: false}')"
check_equal 'a blob is redirected' "$(status_of "$redirecting_url/v2/blobs/only/blobs/$digest")" 307
curl -sfL -o "$work/back" "$redirecting_url/v2/blobs/only/blobs/$digest"
check 'and comes whole from the store' cmp "$work/blob" "$work/back"
check 'skopeo pulls, redirected' skopeo_copy "docker://$redirecting_host/library/app:latest" "dir:$work/redirected"
check 'both are the same' diff -r "$work/streamed" "$work/redirected"
stop "$redirecting_pid"

# --- uploads that go on elsewhere

octets='Content-Type: application/octet-stream'
send() { # session, file, range; prints where the session goes on
  curl -sSf -D - -o /dev/null -X PATCH -H "$octets" -H "Content-Range: $3" -T "$2" "$1" | location_in
}
at() { echo "http://$1/${2#http://*/}"; } # host, session
head -c 7000000 "$work/blob" >"$work/part-0"
head -c 7001000 "$work/blob" | tail -c 1000 >"$work/part-1"
tail -c +7001001 "$work/blob" >"$work/part-2"

start_registry replica "$SUT" "$work/none" "$(s3_storage /one)"
session=$(send "$(start_upload "$sut_url" team/shared)" "$work/part-0" 0-6999999)
session=$(send "$(at "$replica_host" "$session")" "$work/part-1" 7000000-7000999)
check_equal 'the first replica sees what the second took' \
  "$(curl -sSf -D - -o /dev/null "$(at "$sut_host" "$session")" | header Range)" 0-7000999
check 'and finishes the upload' \
  curl -sSf -o /dev/null -X PUT -H "$octets" -T "$work/part-2" "$(at "$sut_host" "$session")&digest=$digest"
curl -sf -o "$work/back" "$replica_url/v2/team/shared/blobs/$digest"
check 'the blob is whole' cmp "$work/blob" "$work/back"
session=$(send "$(start_upload "$sut_url" team/wrong)" "$work/part-0" 0-6999999)
check_equal 'bytes of another digest are refused in the other replica' \
  "$(status_of -X PUT -H "$octets" -T "$work/part-1" "$(at "$replica_host" "$session")&digest=$digest")" 400

# --- a kill in the middle of an upload

session=$(start_upload "$replica_url" team/killed)
curl -s -o /dev/null -X PATCH -H "$octets" --limit-rate 8M -T "$work/blob" "$session" &
client=$!
has_parts() { [ "$(s3 keys one/docker/registry/v2/repositories/team/killed/ | grep -c '/data/~')" -ge 2 ]; }
check 'some parts of a body have arrived' wait_for 30 has_parts
kill -KILL "$replica_pid" && wait "$replica_pid" 2>/dev/null || true
wait "$client" 2>/dev/null || true
answer=$(curl -sSf -D - -o /dev/null "$(at "$sut_host" "$session")")
next=$(($(header Range <<<"$answer" | cut -d- -f2) + 1))
check_below 'some of it was kept' 5000000 "$next"
tail -c +$((next + 1)) "$work/blob" >"$work/rest"
check 'the rest is taken by another process' \
  curl -sSf -o /dev/null -X PUT -H "$octets" -T "$work/rest" "$(at "$sut_host" "$(location_in <<<"$answer")")&digest=$digest"
curl -sf -o "$work/back" "$sut_url/v2/team/killed/blobs/$digest"
check 'the blob is whole after a kill' cmp "$work/blob" "$work/back"

# --- purging

session=$(send "$(start_upload "$sut_url" team/purged)" "$work/part-0" 0-6999999)
uploads=$(s3 keys one/docker/registry/v2/repositories/team/purged/ | sed -n 's|/startedat$||p')
s3 begin-upload "$uploads/data" # As distribution leaves them.
stop "$sut_pid"
start_registry sut "$SUT" "$work/none" \
  "$(s3_storage /one 'maintenance: {uploadpurging: {enabled: true, age: 1s, interval: 1s}}, redirect: {disable: true}')"
is_purged() { [ -z "$(s3 keys one/ | grep _uploads)" ]; }
check 'sessions that nobody finishes are purged, parts and all' wait_for 120 is_purged
check_equal 'with the uploads to S3 below them' "$(s3 uploads)" ''

# --- deletes, and a tree with neighbours

deleted=$(digest_of "$sut_url" docker/schema2 1)
check_equal 'a manifest is deleted' "$(status_of -X DELETE "$sut_url/v2/docker/schema2/manifests/$deleted")" 202
check_equal 'and gone' "$(status_of "$sut_url/v2/docker/schema2/manifests/1")" 404
s3 fill one/docker/registry/v2/repositories/team/many/_layers/x- 2300
check_equal 'a list of several pages is walked' "$(curl -sf "$sut_url/v2/_catalog?n=1000" | jq -c '[.repositories[] | select(startswith("library"))]')" '["library/app"]'

# --- a mirror that stores in a bucket

start_registry mirror "$SUT" "$work/none" "$(s3_storage /mirror)
proxy: {remoteurl: $disk_url}"
check 'a mirror fills a bucket' skopeo_copy "docker://$mirror_host/library/app:latest" "dir:$work/mirrored"
check 'with what the upstream has' diff -r "$work/streamed" "$work/mirrored"
curl -sf -o "$work/back" "$mirror_url/v2/blobs/only/blobs/$digest"
check 'a large blob comes through it whole' cmp "$work/blob" "$work/back"
is_filled() { s3 keys mirror/ | grep "${digest#sha256:}/data$"; }
check 'and is stored' wait_for 30 is_filled
stop "$disk_pid"
curl -sf -o "$work/back" "$mirror_url/v2/blobs/only/blobs/$digest"
check 'and is served when the upstream is gone' cmp "$work/blob" "$work/back"
check_equal 'no staged fill is left' "$(s3 keys mirror/ | grep _fills)" ''
stop "$mirror_pid"
