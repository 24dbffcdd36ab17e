# An upload that outlives its registry: half of a blob is sent, the registry is stopped or killed, and the rest goes to the
# next one, or to a second one over the same directory that runs beside it.
. "$(dirname "$0")/lib.sh"
need curl

root=$work/root
head -c 4000001 /dev/urandom >"$work/blob"
digest=$(sha256_of "$work/blob")
head -c 2000000 "$work/blob" >"$work/half-0"
tail -c +2000001 "$work/blob" >"$work/half-1"
octets='Content-Type: application/octet-stream'

send() { # session, file, range; prints where the session goes on
  curl -sSf -D - -o /dev/null -X PATCH -H "$octets" -H "Content-Range: $3" -T "$2" "$1" | location_in
}
# The session's path and query at another host.
at() { echo "http://$1/${2#http://*/}"; } # host, session
received() { curl -sSf -D - -o /dev/null "$1" | header Range; } # session
finish() { curl -sSf -o /dev/null -X PUT -H "$octets" -T "$work/half-1" "$1&digest=$digest"; } # session
check_blob() { # name, registry URL, repository
  curl -sSf -o "$work/back" "$2/v2/$3/blobs/$digest" || true
  check "$1" cmp "$work/blob" "$work/back"
}

start_registry sut "$SUT" "$root"
session=$(send "$(start_upload "$sut_url" team/stopped)" "$work/half-0" 0-1999999)
stop "$sut_pid"
start_registry sut "$SUT" "$root"
session=$(at "$sut_host" "$session")
check_equal 'after a restart the session knows what it has' "$(received "$session")" 0-1999999
check_equal 'a part that does not fit is refused' \
  "$(status_of -X PATCH -H "$octets" -H 'Content-Range: 1999999-3999999' -T "$work/half-1" "$session")" 416
check 'the rest is taken' finish "$session"
check_blob 'the blob is whole' "$sut_url" team/stopped

session=$(send "$(start_upload "$sut_url" team/killed)" "$work/half-0" 0-1999999)
kill -KILL "$sut_pid" && wait "$sut_pid" 2>/dev/null || true
start_registry sut "$SUT" "$root"
session=$(at "$sut_host" "$session")
check_equal 'after a kill the session has what was acknowledged' "$(received "$session")" 0-1999999
check 'the rest is taken after a kill' finish "$session"
check_blob 'the blob is whole after a kill' "$sut_url" team/killed

# A client whose registry is killed while it sends asks how far it got, and goes on from there.
session=$(start_upload "$sut_url" team/cut)
curl -s -o /dev/null -X PATCH -H "$octets" --limit-rate 1M -T "$work/blob" "$session" &
client=$!
has_some() { [ -n "$(find "$root" -path '*/team/cut/_uploads/*/data' -size +300k)" ]; }
check 'some of a body has arrived' wait_for 20 has_some
kill -KILL "$sut_pid" && wait "$sut_pid" 2>/dev/null || true
wait "$client" 2>/dev/null || true
start_registry sut "$SUT" "$root"
answer=$(curl -sSf -D - -o /dev/null "$(at "$sut_host" "$session")")
next=$(($(header Range <<<"$answer" | cut -d- -f2) + 1))
check_below 'some of it was kept' 100000 "$next"
tail -c +$((next + 1)) "$work/blob" >"$work/rest"
check 'the rest is taken after a cut' \
  curl -sSf -o /dev/null -X PUT -H "$octets" -T "$work/rest" "$(location_in <<<"$answer")&digest=$digest"
check_blob 'the blob is whole after a cut' "$sut_url" team/cut

start_registry second "$SUT" "$root"
session=$(send "$(start_upload "$sut_url" team/beside)" "$work/half-0" 0-1999999)
session=$(at "$second_host" "$session")
check_equal 'a second registry knows what the first has received' "$(received "$session")" 0-1999999
check 'the second takes the rest' finish "$session"
check_blob 'the second serves the blob' "$second_url" team/beside
check_blob 'so does the first' "$sut_url" team/beside
check_equal 'at the first the session is over' "$(status_of "$(at "$sut_host" "$session")")" 404

# Part after part, from one to the other.
split -d -a 1 -n 4 "$work/blob" "$work/quarter-"
session=$(start_upload "$sut_url" team/turns)
offset=0
for i in 0 1 2 3; do
  host=$([ $((i % 2)) = 0 ] && echo "$second_host" || echo "$sut_host")
  size=$(stat -c %s "$work/quarter-$i")
  session=$(send "$(at "$host" "$session")" "$work/quarter-$i" "$offset-$((offset + size - 1))")
  offset=$((offset + size))
  check "part $((i + 1)) of 4 is taken" test -n "$session"
done
check 'the upload is completed' curl -sSf -o /dev/null -X PUT "$session&digest=$digest"
check_blob 'it is whole, part by part' "$second_url" team/turns
check_equal 'no session is left' "$(find "$root" -path '*/_uploads/*' -type f)" ''
