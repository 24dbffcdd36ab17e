# What cosign sends to sign, attest and verify, replayed with curl: signatures under a tag made of the digest, and bundles
# as referrers. Signed at one Entrepôt, at a registry that has no referrers API as well; verified there and through a
# second Entrepôt that mirrors it.
. "$(dirname "$0")/lib.sh"
need docker-registry skopeo curl jq

manifest_type=application/vnd.oci.image.manifest.v1+json
index_type=application/vnd.oci.image.index.v1+json
bundle_type=application/vnd.dev.sigstore.bundle.v0.3+json
image=$(make_image "$work/image" --seed cosign)
hex=${image#sha256:}
printf '{}' >"$work/empty"
printf '{"critical":{"image":{"docker-manifest-digest":"%s"}}}' "$image" >"$work/payload"
printf '{"architecture":"","os":"","config":{},"rootfs":{"type":"layers","diff_ids":["%s"]}}' "$(sha256_of "$work/payload")" >"$work/config"
printf '{"mediaType":"%s","verificationMaterial":{}}' "$bundle_type" >"$work/bundle"

# As go-containerregistry pushes: asks, opens a session, streams, completes.
push_streamed() { # registry URL, repository, file
  local digest session
  digest=$(sha256_of "$3")
  curl -sf -o /dev/null -I "$1/v2/$2/blobs/$digest" && return
  session=$(curl -sSf -D - -o /dev/null -X POST "$1/v2/$2/blobs/uploads/?mount=$digest&from=$2" | location_in)
  session=$(curl -sSf -D - -o /dev/null -X PATCH -H 'Transfer-Encoding: chunked' -T "$3" "$session" | location_in)
  curl -sSf -o /dev/null -X PUT "$session&digest=$digest"
}

# A manifest with one more signature than the one before.
signed() { # how many
  local layer layers=() i
  layer=$(descriptor application/vnd.dev.cosign.simplesigning.v1+json "$work/payload")
  for ((i = 1; i <= $1; i++)); do
    layers+=("$(jq -c --arg signature "signature $i" '.annotations = {"dev.cosignproject.cosign/signature": $signature}' <<<"$layer")")
  done
  jq -cn --argjson config "$(descriptor application/vnd.oci.image.config.v1+json "$work/config")" \
    --arg type "$manifest_type" '{schemaVersion: 2, mediaType: $type, config: $config, layers: [inputs]}' <<<"${layers[*]}"
}

sign() { # registry URL, manifest
  push_streamed "$1" team/app "$work/payload"
  push_streamed "$1" team/app "$work/config"
  push_manifest "$1" team/app "sha256-$hex.sig" "$2"
}

# The signatures that verifying finds, each fetched by its digest.
verify() { # registry URL
  local digest
  curl -sSf -H "$accept" -o "$work/found.json" "$1/v2/team/app/manifests/sha256-$hex.sig"
  for digest in $(jq -r '.layers[].digest' "$work/found.json"); do
    curl -sSf -o "$work/found.payload" "$1/v2/team/app/blobs/$digest"
    cmp "$work/payload" "$work/found.payload"
  done
  jq -r '.layers | map(.annotations["dev.cosignproject.cosign/signature"]) | join(",")' "$work/found.json"
}

referrers() { # registry URL, artifact type
  curl -sSf -G ${2:+--data-urlencode "artifactType=$2"} "$1/v2/team/app/referrers/$image"
}

# The bundle: an artifact that names the image as its subject.
jq -cn --arg type "$manifest_type" --arg artifact "$bundle_type" --arg subject "$image" \
  --argjson config "$(descriptor application/vnd.oci.empty.v1+json "$work/empty")" \
  --argjson layer "$(descriptor "$bundle_type" "$work/bundle")" \
  --argjson size "$(stat -c %s "$work/image/blobs/sha256/$hex")" \
  '{schemaVersion: 2, mediaType: $type, artifactType: $artifact, config: $config, layers: [$layer],
    subject: {mediaType: $type, digest: $subject, size: $size}, annotations: {"dev.sigstore.bundle.content": "dsse-envelope"}}' \
  >"$work/bundle.json"
bundle=$(sha256_of "$work/bundle.json")
signed 1 >"$work/signed-1.json"
signed 2 >"$work/signed-2.json"

start_registry sut "$SUT" "$work/sut"
start_registry mirror "$SUT" "$work/mirror" "proxy: {remoteurl: '$sut_url', cache: {tagttl: 0s}}"
skopeo_copy "oci:$work/image:latest" "docker://$sut_host/team/app:1.0"

check_equal 'nothing refers to an image that was not signed' "$(referrers "$sut_url" | jq -c .manifests)" '[]'
for kind in sig att sbom; do
  check_equal "an unsigned image has no .$kind" "$(status_of -H "$accept" "$sut_url/v2/team/app/manifests/sha256-$hex.$kind")" 404
done
check_equal 'a mirror says so too' "$(referrers "$mirror_url" | jq -c .manifests)" '[]'
check_equal 'a mirror has no .att either' "$(status_of -H "$accept" "$mirror_url/v2/team/app/manifests/sha256-$hex.att")" 404

check 'a signature is pushed' sign "$sut_url" "$work/signed-1.json"
check_equal 'the signature is verified' "$(verify "$sut_url")" 'signature 1'
check_equal 'the signature is verified through a mirror' "$(verify "$mirror_url")" 'signature 1'
check 'a second signature is added' sign "$sut_url" "$work/signed-2.json"
check_equal 'both are verified' "$(verify "$sut_url")" 'signature 1,signature 2'
check_equal 'both are verified through a mirror' "$(verify "$mirror_url")" 'signature 1,signature 2'
check_equal 'signatures are tags' "$(curl -sSf "$sut_url/v2/team/app/tags/list" | jq -c .tags)" "[\"1.0\",\"sha256-$hex.sig\"]"
check_equal 'through a mirror as well' "$(curl -sSf "$mirror_url/v2/team/app/tags/list" | jq -c .tags)" "[\"1.0\",\"sha256-$hex.sig\"]"

# Attaches the bundle as clients do that know the referrers API; prints the OCI-Subject that tells them it was understood.
attach() { # registry URL
  push_streamed "$1" team/app "$work/empty"
  push_streamed "$1" team/app "$work/bundle"
  push_manifest "$1" team/app "$bundle" "$work/bundle.json" | header OCI-Subject
}

check_equal 'a bundle is attached, and its subject is understood' "$(attach "$sut_url")" "$image"
for url in "$sut_url" "$mirror_url"; do
  where=$([ "$url" = "$sut_url" ] && echo 'the registry' || echo 'its mirror')
  referrers "$url" "$bundle_type" >"$work/referrers.json"
  check_equal "$where lists the bundle" "$(jq -r '.manifests[].digest' "$work/referrers.json")" "$bundle"
  check_equal "$where tells its type and annotations" \
    "$(jq -c '.manifests[0] | [.artifactType, .annotations["dev.sigstore.bundle.content"]]' "$work/referrers.json")" \
    "[\"$bundle_type\",\"dsse-envelope\"]"
  check "$where gives the bundle's manifest" curl -sSf -H "$accept" -o "$work/back.json" "$url/v2/team/app/manifests/$bundle"
  check "$where: it is the one pushed, byte for byte" cmp "$work/bundle.json" "$work/back.json"
  check "$where gives the bundle" curl -sSf -o "$work/back" "$url/v2/team/app/blobs/$(sha256_of "$work/bundle")"
  check "$where: it is whole" cmp "$work/bundle" "$work/back"
done

# The same at a registry without the API: the client keeps a list under a tag, which a mirror gives out through the API.
start_registry upstream "$REFERENCE" "$work/upstream"
start_registry second "$SUT" "$work/second" "proxy: {remoteurl: '$upstream_url', cache: {tagttl: 0s}}"
skopeo_copy "oci:$work/image:latest" "docker://$upstream_host/team/app:1.0"
check_equal 'a registry without the API says nothing of a subject' "$(attach "$upstream_url")" ''
jq -cn --arg type "$index_type" --arg artifact "$bundle_type" --argjson entry "$(descriptor "$manifest_type" "$work/bundle.json")" \
  '{schemaVersion: 2, mediaType: $type, manifests: [$entry + {artifactType: $artifact}]}' >"$work/list.json"
check 'the client keeps its list under a tag' push_manifest "$upstream_url" team/app "sha256-$hex" "$work/list.json"
check_equal 'the mirror lists what the tag has' \
  "$(referrers "$second_url" "$bundle_type" | jq -r '.manifests[].digest')" "$bundle"
check 'the bundle is pulled through the mirror' \
  curl -sSf -o "$work/back" "$second_url/v2/team/app/blobs/$(sha256_of "$work/bundle")"
check 'it is whole' cmp "$work/bundle" "$work/back"
check 'a signature is pushed beside it' sign "$upstream_url" "$work/signed-1.json"
check_equal 'the signature is verified through the mirror' "$(verify "$second_url")" 'signature 1'
check_equal 'a filter for another type leaves nothing' "$(referrers "$second_url" application/x-other | jq -c .manifests)" '[]'
