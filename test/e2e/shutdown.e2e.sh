# SIGTERM in the middle of an upload and of a download: both end well, nothing new is let in, and the exit status is 0.
. "$(dirname "$0")/lib.sh"
need curl

head -c 30000000 /dev/urandom >"$work/blob"
digest=$(sha256_of "$work/blob")
start_registry sut "$SUT" "$work/sut"
push_blob "$sut_url" team/there "$work/blob"

# Writes the first half of the blob, waits for the file `go`, writes the other half.
halves() {
  head -c 15000000 "$work/blob"
  until [ -e "$work/go" ]; do sleep 0.02; done
  tail -c +15000001 "$work/blob"
}
received() { [ "$(find "$work/sut" -path '*/_uploads/*/data' -printf '%s\n' | sort -n | tail -n 1)" -gt 0 ]; }
closed() { ! curl -s -o /dev/null "$sut_url/v2/"; }

session=$(start_upload "$sut_url" team/app)
halves | curl -sS -o "$work/answer" -w '%{http_code}' -X PUT -H 'Content-Type: application/octet-stream' \
  -T - "$session&digest=$digest" >"$work/upload.status" 2>"$work/upload.err" &
upload=$!
check 'an upload is under way' wait_for 20 received
mkfifo "$work/pipe"
curl -sS -o "$work/pipe" -w '%{http_code}' "$sut_url/v2/team/there/blobs/$digest" >"$work/download.status" 2>"$work/download.err" &
download=$!
exec 3<"$work/pipe"
dd bs=1000 count=1 iflag=fullblock <&3 >"$work/first" 2>/dev/null
check_equal 'a download is under way' "$(stat -c %s "$work/first")" 1000

kill -TERM "$sut_pid"
check 'after SIGTERM no new connection is let in' wait_for 20 closed
check 'the program waits for what is under way' kill -0 "$sut_pid"
touch "$work/go"
cat <&3 >"$work/rest"
check 'the upload ends' wait "$upload"
check_equal 'the upload ends with success' "$(cat "$work/upload.status")" 201
check 'the download ends' wait "$download"
check_equal 'the download is whole' "$(cat "$work/first" "$work/rest" | sha256sum | cut -d' ' -f1)" "${digest#sha256:}"
stop "$sut_pid"
check_equal 'the exit status is 0' "$stop_status" 0
[ "$stop_status" = 0 ] || report "log: $(tail -n 5 "$sut_log")"

start_registry sut "$SUT" "$work/sut"
check 'the upload is there after a restart' curl -sSf -o "$work/back" "$sut_url/v2/team/app/blobs/$digest"
check 'and whole' cmp "$work/blob" "$work/back"

session=$(start_upload "$sut_url" team/killed)
head -c 1000000 "$work/blob" >"$work/half"
session=$(curl -sSf -D - -o /dev/null -X PATCH -H 'Content-Type: application/octet-stream' -T "$work/half" "$session" | location_in)
{ kill -KILL "$sut_pid" && wait "$sut_pid" || true; } 2>/dev/null
unset "own_pids[$sut_pid]"
start_registry sut "$SUT" "$work/sut"
session="$sut_url/${session#http://*/}"
tail -c +1000001 "$work/blob" >"$work/half"
check 'after SIGKILL a session goes on where it was' \
  curl -sSf -X PUT -H 'Content-Type: application/octet-stream' -T "$work/half" "$session&digest=$digest"
check 'and its blob is whole' cmp "$work/blob" <(curl -sf "$sut_url/v2/team/killed/blobs/$digest")
