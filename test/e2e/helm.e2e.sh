# What Helm sends, replayed with curl: pushes versions of a chart with its provenance, finds the newest version of a range
# in the list of tags, pulls it. At one Entrepôt, and through a second that mirrors it.
. "$(dirname "$0")/lib.sh"
need curl jq

manifest_type=application/vnd.oci.image.manifest.v1+json
start_registry sut "$SUT" "$work/sut"
start_registry mirror "$SUT" "$work/mirror" "proxy: {remoteurl: '$sut_url', cache: {tagttl: 0s}}"

# A chart of a version: config, archive, provenance. In a tag `_` stands for the `+` of a version.
push_chart() { # version
  local version=$1 dir=$work/chart-$1
  mkdir -p "$dir"
  printf '{"name":"web","version":"%s","apiVersion":"v2","type":"application"}' "$version" >"$dir/config"
  printf 'name: web\nversion: %s\n' "$version" | gzip -n >"$dir/chart.tgz"
  printf 'signature of %s\n' "$version" >"$dir/chart.prov"
  jq -cn --arg type "$manifest_type" --arg version "$version" \
    --argjson config "$(descriptor application/vnd.cncf.helm.config.v1+json "$dir/config")" \
    --argjson chart "$(descriptor application/vnd.cncf.helm.chart.content.v1.tar+gzip "$dir/chart.tgz")" \
    --argjson prov "$(descriptor application/vnd.cncf.helm.chart.provenance.v1.prov "$dir/chart.prov")" \
    '{schemaVersion: 2, mediaType: $type, config: $config, layers: [$chart, $prov],
      annotations: {"org.opencontainers.image.title": "web", "org.opencontainers.image.version": $version}}' >"$dir/manifest.json"
  for file in config chart.tgz chart.prov; do push_blob "$sut_url" charts/web "$dir/$file"; done
  push_manifest "$sut_url" charts/web "${version//+/_}" "$dir/manifest.json"
}

# All tags, two at a time: by the link to the next page, or by naming the last tag oneself.
tags_by_link() { # registry URL
  local next=/v2/charts/web/tags/list?n=2 head
  while [ -n "$next" ]; do
    head=$(curl -sSf -D - -o "$work/page.json" "$1$next")
    jq -r '.tags[]' "$work/page.json"
    next=$(header Link <<<"$head" | sed -n 's/^<\(.*\)>; rel="next"$/\1/p')
  done | xargs
}
tags_by_last() { # registry URL
  local last='' page
  while page=$(curl -sSf "$1/v2/charts/web/tags/list?n=2&last=$last" | jq -r '.tags[]') && [ -n "$page" ]; do
    echo "$page"
    last=$(tail -n 1 <<<"$page")
  done | xargs
}

# The newest tag of a major version.
newest() { # registry URL, major
  tags_by_link "$1" | tr ' ' '\n' | grep "^$2\." | sort -V | tail -n 1
}

pull_chart() { # registry URL, version
  local digest
  digest=$(curl -sSf -I -H "$accept" "$1/v2/charts/web/manifests/${2//+/_}" | header Docker-Content-Digest)
  curl -sSf -H "Accept: $manifest_type" -o "$work/pulled.json" "$1/v2/charts/web/manifests/$digest"
  cmp "$work/chart-$2/manifest.json" "$work/pulled.json"
  for file in config chart.tgz chart.prov; do
    curl -sSf -o "$work/pulled" "$1/v2/charts/web/blobs/$(sha256_of "$work/chart-$2/$file")"
    cmp "$work/chart-$2/$file" "$work/pulled"
  done
}

check_equal 'a chart that was never pushed has no tags' "$(status_of "$sut_url/v2/charts/web/tags/list")" 404
versions=(0.9.0 1.0.0 1.2.0 1.10.0 1.9.3 2.0.0-rc.1 1.2.0+build.5)
for version in "${versions[@]}"; do check "version $version is pushed" push_chart "$version"; done
sorted=$(printf '%s\n' "${versions[@]//+/_}" | LC_ALL=C sort | xargs)

for url in "$sut_url" "$mirror_url"; do
  where=$([ "$url" = "$sut_url" ] && echo 'the registry' || echo 'its mirror')
  check_equal "$where lists all versions" "$(curl -sSf "$url/v2/charts/web/tags/list" | jq -r '.tags | join(" ")')" "$sorted"
  check_equal "$where lists them page by page" "$(tags_by_link "$url")" "$sorted"
  check_equal "$where goes on after a tag that is named" "$(tags_by_last "$url")" "$sorted"
  check_equal "$where: the newest of 1.x" "$(newest "$url" 1)" 1.10.0
  check "$where gives that version" pull_chart "$url" 1.10.0
  check "$where gives a version with a build" pull_chart "$url" 1.2.0+build.5
  check_equal "$where keeps the type of the config" "$(jq -r .config.mediaType "$work/pulled.json")" application/vnd.cncf.helm.config.v1+json
done

check 'a newer version is pushed' push_chart 1.11.0
check_equal 'the mirror knows it at once' "$(newest "$mirror_url" 1)" 1.11.0
check 'the mirror gives it' pull_chart "$mirror_url" 1.11.0
digest=$(digest_of "$sut_url" charts/web 1.11.0)
check_equal 'the version is withdrawn' "$(status_of -X DELETE "$sut_url/v2/charts/web/manifests/1.11.0")" 202
check_equal 'it is no longer found' "$(newest "$sut_url" 1)" 1.10.0
check_equal 'its digest is still there' "$(digest_of "$sut_url" charts/web "$digest")" "$digest"
stop "$sut_pid"
check 'with the registry gone the mirror gives what was pulled' pull_chart "$mirror_url" 1.10.0
