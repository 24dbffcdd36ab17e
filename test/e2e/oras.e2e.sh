# What ORAS sends, replayed with curl: pushes an artifact, attaches others to it, discovers them, pulls them back, deletes
# one. At one Entrepôt, and through a second that mirrors it.
. "$(dirname "$0")/lib.sh"
need curl jq

manifest_type=application/vnd.oci.image.manifest.v1+json
empty_digest=sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a
zero_digest=sha256:$(printf '0%.0s' {1..64})
printf '{}' >"$work/empty"
printf 'hello\n' >"$work/hello.txt"
printf '{"bom":true}' >"$work/bom.json"
head -c 100000 /dev/urandom >"$work/report.bin"

start_registry sut "$SUT" "$work/sut"
start_registry mirror "$SUT" "$work/mirror" "proxy: {remoteurl: '$sut_url', cache: {tagttl: 0s}}"

# As oras-go pushes: asks with HEAD, opens a session, completes it at once.
push_asking() { # repository, file
  curl -sf -o /dev/null -I "$sut_url/v2/$1/blobs/$(sha256_of "$2")" || push_blob "$sut_url" "$1" "$2"
}

# Packs a file as an artifact manifest of its own.
pack() { # artifact type, file, subject manifest or nothing
  local subject=null
  [ -z "${3:-}" ] || subject=$(descriptor "$manifest_type" "$3")
  jq -cn --arg type "$manifest_type" --arg artifact "$1" --arg title "$(basename "$2")" --argjson subject "$subject" \
    --argjson config "$(descriptor application/vnd.oci.empty.v1+json "$work/empty")" \
    --argjson layer "$(descriptor application/octet-stream "$2")" \
    '{schemaVersion: 2, mediaType: $type, artifactType: $artifact, config: $config,
      layers: [$layer + {annotations: {"org.opencontainers.image.title": $title}}], subject: $subject,
      annotations: {"org.opencontainers.image.created": "2024-01-01T00:00:00Z"}} | del(.[] | nulls)'
}

# Every referrer, page by page.
discover() { # registry URL, repository, digest, query
  local next="/v2/$2/referrers/$3?${4:-}" head
  while [ -n "$next" ]; do
    head=$(curl -sSf -D - -o "$work/page.json" "$1$next")
    jq -r '.manifests[].digest' "$work/page.json"
    next=$(header Link <<<"$head" | sed -n 's/^<\(.*\)>; rel="next"$/\1/p')
    case $next in http*) next=/${next#http*//*/} ;; esac
  done | sort
}

# Fetches an artifact's file and compares it.
pull_file() { # registry URL, repository, reference, file
  curl -sSf -H "$accept" -o "$work/pulled.json" "$1/v2/$2/manifests/$3"
  curl -sSf -o "$work/pulled" "$1/v2/$2/blobs/$(jq -r '.layers[0].digest' "$work/pulled.json")"
  cmp "$4" "$work/pulled"
}

ping=$(curl -sS -D - -o /dev/null "$sut_url/v2/arts/hello/referrers/$zero_digest")
check_contains 'a client that asks for the API is told that it is there' "$ping" ' 200'
check_contains 'in the form of an index' "$(header Content-Type <<<"$ping")" application/vnd.oci.image.index.v1+json

check_equal 'the empty config is the one everybody knows' "$(sha256_of "$work/empty")" "$empty_digest"
check 'the empty config is pushed' push_asking arts/hello "$work/empty"
check 'a file is pushed' push_asking arts/hello "$work/hello.txt"
pack application/vnd.example.hello "$work/hello.txt" >"$work/hello.json"
hello=$(sha256_of "$work/hello.json")
check 'an artifact is pushed by tag' push_manifest "$sut_url" arts/hello v1 "$work/hello.json"
check_equal 'its tag resolves with HEAD' "$(digest_of "$sut_url" arts/hello v1)" "$hello"

pack application/vnd.example.bom "$work/bom.json" "$work/hello.json" >"$work/bom.manifest.json"
pack application/vnd.example.report "$work/report.bin" "$work/hello.json" >"$work/report.manifest.json"
pack application/vnd.example.bom "$work/hello.txt" "$work/bom.manifest.json" >"$work/nested.manifest.json"
bom=$(sha256_of "$work/bom.manifest.json")
report=$(sha256_of "$work/report.manifest.json")
nested=$(sha256_of "$work/nested.manifest.json")
for file in bom.json report.bin; do push_asking arts/hello "$work/$file"; done
check_equal 'a bill of materials is attached' \
  "$(push_manifest "$sut_url" arts/hello "$bom" "$work/bom.manifest.json" | header OCI-Subject)" "$hello"
check_equal 'a report is attached' \
  "$(push_manifest "$sut_url" arts/hello "$report" "$work/report.manifest.json" | header OCI-Subject)" "$hello"
check_equal 'something is attached to what was attached' \
  "$(push_manifest "$sut_url" arts/hello "$nested" "$work/nested.manifest.json" | header OCI-Subject)" "$bom"
both=$(printf '%s\n' "$bom" "$report" | sort)

for url in "$sut_url" "$mirror_url"; do
  where=$([ "$url" = "$sut_url" ] && echo 'the registry' || echo 'its mirror')
  check_equal "$where lists both" "$(discover "$url" arts/hello "$hello")" "$both"
  check_equal "$where lists them page by page" "$(discover "$url" arts/hello "$hello" n=1)" "$both"
  filtered=$(curl -sSf -D - -o "$work/filtered.json" "$url/v2/arts/hello/referrers/$hello?artifactType=application/vnd.example.bom")
  check_equal "$where filters by type" "$(jq -r '.manifests[].digest' "$work/filtered.json")" "$bom"
  check_equal "$where says that it filtered" "$(header OCI-Filters-Applied <<<"$filtered")" artifactType
  check_equal "$where lists what is attached to the attached" "$(discover "$url" arts/hello "$bom")" "$nested"
  check_equal "$where describes the report" \
    "$(curl -sSf "$url/v2/arts/hello/referrers/$hello" | jq -c --arg digest "$report" '.manifests[] | select(.digest == $digest)' | jq -cS .)" \
    "$(descriptor "$manifest_type" "$work/report.manifest.json" | jq -cS '. + {artifactType: "application/vnd.example.report", annotations: {"org.opencontainers.image.created": "2024-01-01T00:00:00Z"}}')"
  check "$where gives the artifact" pull_file "$url" arts/hello v1 "$work/hello.txt"
  check "$where gives the bill of materials" pull_file "$url" arts/hello "$bom" "$work/bom.json"
  check "$where gives the report" pull_file "$url" arts/hello "$report" "$work/report.bin"
  check "$where gives the nested one" pull_file "$url" arts/hello "$nested" "$work/hello.txt"
  check_equal "$where tells the size of the empty config" \
    "$(curl -sSf -I "$url/v2/arts/hello/blobs/$empty_digest" | header Content-Length)" 2
done

# Attached before what it is attached to is there; copied to another repository afterwards.
for file in empty bom.json hello.txt; do push_asking arts/early "$work/$file"; done
check_equal 'an artifact is attached to what does not exist yet' \
  "$(push_manifest "$sut_url" arts/early "$bom" "$work/bom.manifest.json" | header OCI-Subject)" "$hello"
check_equal 'it is listed' "$(discover "$sut_url" arts/early "$hello")" "$bom"
check 'its subject comes later' push_manifest "$sut_url" arts/early v1 "$work/hello.json"
check_equal 'it is still listed, and nothing of the other repository' "$(discover "$sut_url" arts/early "$hello")" "$bom"

check_equal 'an attached artifact is deleted' "$(status_of -X DELETE "$sut_url/v2/arts/hello/manifests/$report")" 202
check_equal 'it is no longer listed' "$(discover "$sut_url" arts/hello "$hello")" "$bom"
check 'it is attached again' push_manifest "$sut_url" arts/hello "$report" "$work/report.manifest.json"
check_equal 'and listed again' "$(discover "$sut_url" arts/hello "$hello")" "$both"
check_equal 'the artifact itself is deleted' "$(status_of -X DELETE "$sut_url/v2/arts/hello/manifests/$hello")" 202
check_equal 'what was attached to it stays listed' "$(discover "$sut_url" arts/hello "$hello")" "$both"

stop "$sut_pid"
check 'with the registry gone its mirror gives the report' pull_file "$mirror_url" arts/hello "$report" "$work/report.bin"
check_equal 'and lists what it has' "$(discover "$mirror_url" arts/hello "$hello")" "$both"
