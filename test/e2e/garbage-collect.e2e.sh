# Garbage collection beside a running registry, through it, and held against what Debian's docker-registry leaves of the
# same tree; and a scrub that finds a damaged blob.
. "$(dirname "$0")/lib.sh"
need skopeo curl jq "$REFERENCE"

root=$work/sut
start_registry sut "$SUT" "$root"
cp "$work/sut.yml" "$work/offline.yml"

push() { # image, seed, layers
  make_image "$work/$2" --layers "$3" --seed "$2" >/dev/null
  skopeo_copy "oci:$work/$2:latest" "docker://$sut_host/$1"
}
remove() { # repository, tag: the manifest, so that nothing leads to it
  curl -sf -X DELETE "$sut_url/v2/$1/manifests/$(digest_of "$sut_url" "$1" "$2")"
}
blobs_in() { (cd "$1/docker/registry/v2/blobs" && find . -name data | sort); }
old() { find "$root" -exec touch -d '3 hours ago' {} +; }

check 'an image is pushed' push team/app:1 one 2
check 'another one is pushed' push team/app:2 two 3
check 'the second is pushed to another repository, too' push other/app:2 two 3
check 'a third one is pushed' push other/app:3 three 2
check 'the first is deleted' remove team/app 1
check 'the third is deleted' remove other/app 3

check 'what is young stays' "$SUT" garbage-collect --quiet "$work/offline.yml"
check_equal 'nothing is gone' "$(blobs_in "$root" | wc -l)" "$((4 + 5 + 4))"
old
before=$(blobs_in "$root")
cp -a "$root" "$work/reference-tree"
sed "s#rootdirectory: $root#rootdirectory: $work/reference-tree#" "$work/offline.yml" >"$work/reference-gc.yml"

dry=$("$SUT" garbage-collect --dry-run "$work/offline.yml")
check_contains 'a dry run says what would go' "$dry" 'blob eligible for deletion: sha256:'
check_equal 'a dry run removes nothing' "$(blobs_in "$root")" "$before"
check 'the reference collects its copy' "$REFERENCE" garbage-collect "$work/reference-gc.yml"
check 'garbage is collected beside the running server' "$SUT" garbage-collect "$work/offline.yml"
check_equal 'the same blobs are left as by the reference' "$(blobs_in "$root")" "$(blobs_in "$work/reference-tree")"
check_equal 'as many as the second image has' "$(blobs_in "$root" | wc -l)" 5
for name in team other; do
  check "$name/app:2 is pulled" skopeo_copy "docker://$sut_host/$name/app:2" "oci:$work/pulled-$name:latest"
  check 'it is what was pushed' diff -r "$work/two/blobs" "$work/pulled-$name/blobs"
done
curl -sf -H "$accept" "$sut_url/v2/team/app/manifests/2" >"$work/pulled-two.json"
check 'what was collected is pushed again' push team/app:1 one 2
check 'and pulled' skopeo_copy "docker://$sut_host/team/app:1" "oci:$work/pulled-one:latest"

stop "$sut_pid"
debug_port=$(free_port)
sed "s|^http: {|http: {debug: {addr: '127.0.0.1:$debug_port'}, |" "$work/offline.yml" >"$work/online.yml"
"$SUT" serve "$work/online.yml" >"$work/online.log" 2>&1 &
online_pid=$!
own_pids[$online_pid]=online
check 'it is started again, with a listener for operators' wait_for 20 curl -sf "http://127.0.0.1:$debug_port/admin/readonly"
check 'the first image is deleted again' remove team/app 1
check 'the server collects at once what nobody uses' "$SUT" garbage-collect --grace 0s --quiet "$work/online.yml"
check_equal 'the same five blobs are left' "$(blobs_in "$root")" "$(blobs_in "$work/reference-tree")"
check 'writes are refused from now on' "$SUT" readonly on "$work/online.yml"
check_equal 'an upload is answered 405' "$(status_of -X POST "$sut_url/v2/team/app/blobs/uploads/")" 405
check 'what is there is pulled' skopeo_copy "docker://$sut_host/team/app:2" "oci:$work/pulled-read-only:latest"
check 'writes are accepted again' "$SUT" readonly off "$work/online.yml"

layer=$(jq -r '.layers[0].digest' "$work/pulled-two.json")
hex=${layer#sha256:}
check 'a scrub finds nothing wrong' "$SUT" scrub "$work/online.yml"
printf damaged >"$root/docker/registry/v2/blobs/sha256/${hex:0:2}/$hex/data"
check_fails 'a scrub finds a damaged blob' "$SUT" scrub "$work/online.yml"
check_equal 'it lies in quarantine' "$(cat "$root/_quarantine/sha256/$hex")" damaged
check_equal 'clients are told that it is not there' "$(status_of "$sut_url/v2/team/app/blobs/$layer")" 404
check 'it is pushed again' push team/app:2 two 3
check 'a scrub finds nothing wrong any more' "$SUT" scrub "$work/online.yml"
