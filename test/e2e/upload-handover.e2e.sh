# An upload session begun at one program and finished at the other, over the same directory and with the same secret.
. "$(dirname "$0")/lib.sh"
need docker-registry curl

head -c 3000000 /dev/urandom >"$work/blob"
split -d -a 1 -b 1000000 "$work/blob" "$work/part-"
digest=$(sha256_of "$work/blob")
octets='Content-Type: application/octet-stream'

# Sends a part to a session; prints where the session goes on.
send() { # session, file
  curl -sSf -D - -o /dev/null -X PATCH -H "$octets" -T "$2" "$1" | location_in
}

# The session's path and query at another host.
at() { # host, session
  echo "http://$1/${2#http://*/}"
}

hand_over() { # who begins, who finishes: command, name
  local session root=$work/$2
  start_registry first "$1" "$root"
  session=$(send "$(start_upload "$first_url" team/app)" "$work/part-0")
  check "$2: a session takes its first part" test -n "$session"
  stop "$first_pid"

  start_registry second "$3" "$root"
  session=$(at "$second_host" "$session")
  local status
  status=$(curl -sS -D - -o /dev/null "$session" | tr -d '\r')
  check_contains "$4: knows the session of $2" "$status" ' 204'
  check_equal "$4: knows how much was received" "$(sed -n 's/^range: //ip' <<<"$status")" 0-999999
  session=$(send "$session" "$work/part-1")
  check "$4: takes the next part at the Location that $2 gave" test -n "$session"
  stop "$second_pid"

  start_registry first "$1" "$root"
  session=$(at "$first_host" "$session")
  check "$2: takes the session back and finishes it" \
    curl -sSf -X PUT -H "$octets" -T "$work/part-2" "$session&digest=$digest"
  check "$2: serves the blob" curl -sSf -o "$work/$2.back" "$first_url/v2/team/app/blobs/$digest"
  check "$2: it is whole" cmp "$work/blob" "$work/$2.back"
  check_equal "$2: the session is gone" "$(find "$root" -path '*/_uploads/*' -type f)" ''
  stop "$first_pid"
}

hand_over "$REFERENCE" docker-registry "$SUT" Entrepôt
hand_over "$SUT" Entrepôt "$REFERENCE" docker-registry
