# One directory, two programs: what Entrepôt writes Debian's docker-registry serves, and the other way round; and after the
# same pushes both have written the same files. One difference is meant: a blob pushed under its sha512 keeps that name
# here, where docker-registry files it under its sha256 with a link from the other; each can serve what the other wrote.
. "$(dirname "$0")/lib.sh"
need docker-registry skopeo curl jq

make_image "$work/one" --layers 2 --seed one >/dev/null
make_image "$work/two" --layers 3 --seed two >/dev/null
make_image "$work/multi" --seed multi --platforms amd64,arm64 >/dev/null
echo text >"$work/text"
: >"$work/empty"

# Every kind of push: a tag moved twice, an index, Docker schema 2, an empty blob, a mount.
push_everything() { # host
  local url=http://$1 mounted
  for image in one two one; do skopeo_copy "oci:$work/$image:latest" "docker://$1/library/app:latest"; done
  skopeo_copy "oci:$work/two:latest" "docker://$1/library/app:2.0"
  skopeo_copy "oci:$work/multi:latest" "docker://$1/a.b/c__d/e--f:multi" --all
  skopeo_copy "oci:$work/one:latest" "docker://$1/docker/schema2:1" --format v2s2
  skopeo_copy "oci:$work/multi:latest" "docker://$1/docker/list:1" --all --format v2s2
  push_blob "$url" blobs/only "$work/empty"
  push_blob "$url" blobs/only "$work/text"
  mounted=$(curl -sS -o /dev/null -w '%{http_code}' -X POST \
    "$url/v2/mounted/here/blobs/uploads/?mount=$(sha256_of "$work/text")&from=blobs/only")
  [ "$mounted" = 201 ]
}

# Every tag of a registry with its digest, one a line, from its own lists.
tags_of() { # registry URL
  local repository tag
  for repository in $(curl -sf "$1/v2/_catalog?n=1000" | jq -r '.repositories[]' | sort); do
    for tag in $(curl -sf "$1/v2/$repository/tags/list" | jq -r '.tags[]' | sort); do
      echo "$repository:$tag $(digest_of "$1" "$repository" "$tag")"
    done
  done
}

# Pulls every tag with skopeo and checks that all came.
pull_everything() { # what, host, destination
  local repository tag
  while read -r tagged _; do
    repository=${tagged%:*} tag=${tagged##*:}
    mkdir -p "$3/$repository"
    check "$1: skopeo pulls $tagged" skopeo_copy "docker://$2/$tagged" "dir:$3/$repository/$tag" --all
  done < <(tags_of "http://$2")
}

start_registry sut "$SUT" "$work/sut"
start_registry reference "$REFERENCE" "$work/reference"
check 'every kind of push to Entrepôt' push_everything "$sut_host"
check 'every kind of push to docker-registry' push_everything "$reference_host"
tags_of "$reference_url" >"$work/tags"
check_equal 'both list the same tags with the same digests' "$(tags_of "$sut_url")" "$(cat "$work/tags")"
stop "$sut_pid"
stop "$reference_pid"

# Compared are all files under docker/registry/v2 but these, which differ by intent: _uploads (names and times of
# sessions, hash states, and the empty folder that docker-registry leaves), _fills, _mirror and _referrers (Entrepôt's
# own).
compared=(--exclude=_uploads --exclude=_fills --exclude=_mirror --exclude=_referrers)
check 'the same pushes give the same blobs and links, byte for byte' \
  diff -r "${compared[@]}" "$work/sut/docker/registry/v2" "$work/reference/docker/registry/v2"
check_equal 'and the same set of files' \
  "$(cd "$work/sut" && find docker -type f -not -path '*/_uploads/*' -not -path '*/_fills/*' -not -path '*/_mirror/*' -not -path '*/_referrers/*' | sort | sha256sum)" \
  "$(cd "$work/reference" && find docker -type f -not -path '*/_uploads/*' | sort | sha256sum)"
check_equal 'no upload session is left' "$(find "$work/sut" -path '*/_uploads/*' -type f)" ''

# Each serves the other's directory.
start_registry sut "$SUT" "$work/reference"
start_registry reference "$REFERENCE" "$work/sut"
check_equal 'docker-registry lists what Entrepôt wrote' "$(tags_of "$reference_url")" "$(cat "$work/tags")"
check_equal 'Entrepôt lists what docker-registry wrote' "$(tags_of "$sut_url")" "$(cat "$work/tags")"
pull_everything 'written by Entrepôt, served by docker-registry' "$reference_host" "$work/pulled-reference"
pull_everything 'written by docker-registry, served by Entrepôt' "$sut_host" "$work/pulled-sut"
check 'both served the same bytes' diff -r "$work/pulled-sut" "$work/pulled-reference"

# Both go on writing into the other's directory.
check 'Entrepôt pushes into the directory of docker-registry' skopeo_copy "oci:$work/two:latest" "docker://$sut_host/library/app:3.0"
check 'docker-registry pushes into the directory of Entrepôt' skopeo_copy "oci:$work/two:latest" "docker://$reference_host/library/app:3.0"
deleted=$(digest_of "$sut_url" docker/schema2 1)
check 'Entrepôt deletes a manifest there' curl -sSf -X DELETE "$sut_url/v2/docker/schema2/manifests/$deleted"
check 'docker-registry deletes a manifest there' curl -sSf -X DELETE "$reference_url/v2/docker/schema2/manifests/$deleted"
stop "$sut_pid"
stop "$reference_pid"
check 'the directories are the same again' diff -r "${compared[@]}" "$work/sut/docker/registry/v2" "$work/reference/docker/registry/v2"

# A blob named by its sha512, pushed at one and served by the other.
sha512=sha512:$(sha512sum "$work/text" | cut -d' ' -f1)
for direction in "$SUT|$REFERENCE|docker-registry serves the sha512 that Entrepôt wrote" \
  "$REFERENCE|$SUT|Entrepôt serves the sha512 that docker-registry wrote"; do
  IFS='|' read -r writer reader name <<<"$direction"
  start_registry first "$writer" "$work/sha512"
  push_blob "$first_url" by/sha512 "$work/text" "$sha512"
  stop "$first_pid"
  start_registry second "$reader" "$work/sha512"
  check_equal "$name" "$(curl -sf "$second_url/v2/by/sha512/blobs/$sha512")" text
  stop "$second_pid"
  rm -r "$work/sha512"
done

# The tree kept in fixtures, written once by docker-registry.
cp -r "$project/fixtures/distribution-tree" "$work/fixture"
start_registry sut "$SUT" "$work/fixture"
check_equal 'Entrepôt lists the tags of the fixture' "$(tags_of "$sut_url")" "$(cat "$project/fixtures/distribution-tags.txt")"
pull_everything 'fixture served by Entrepôt' "$sut_host" "$work/pulled-fixture"
stop "$sut_pid"
check 'reading changed nothing in the fixture' \
  diff -r --exclude=_uploads "$project/fixtures/distribution-tree" "$work/fixture"
