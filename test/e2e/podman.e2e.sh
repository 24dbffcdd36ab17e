# podman against a plain registry: push, pull, tag, search, and a push that finds its blobs there already.
. "$(dirname "$0")/lib.sh"
need podman skopeo jq

start_registry sut "$SUT" "$work/sut"
make_image "$work/image" --layers 2 --seed podman >/dev/null
make_image "$work/newer" --layers 3 --seed podman >/dev/null
app=$sut_host/team/app

id=$(podman_ pull -q "oci:$work/image:latest")
check 'podman tags' podman_ tag "$id" "$app:1.0"
check 'podman pushes' podman_ push -q --tls-verify=false "$app:1.0"
check 'podman pushes a second tag of the same image' podman_ push -q --tls-verify=false "$id" "$app:1.1"
check 'podman pushes to a second repository, where it may mount' podman_ push -q --tls-verify=false "$id" "$sut_host/team/twin:1.0"
check 'podman pushes Docker schema 2' podman_ push -q --tls-verify=false --format v2s2 "$id" "$app:schema2"
check 'podman pushes a zstd image' podman_ push -q --tls-verify=false --compression-format zstd "$id" "$app:zstd"

podman_ rmi -a -f >/dev/null
check 'podman pulls' podman_ pull -q --tls-verify=false "$app:1.0"
check_equal 'podman has the same image again' "$(podman_ images -q --no-trunc "$app:1.0")" "sha256:$id"
check_equal 'podman inspects what it pulled' "$(podman_ inspect "$app:1.0" | jq -r '.[0].Labels.seed')" podman
check 'podman pulls a zstd image' podman_ pull -q --tls-verify=false "$app:zstd"
check 'podman pulls Docker schema 2' podman_ pull -q --tls-verify=false "$app:schema2"
printf '[[registry]]\nlocation = "%s"\ninsecure = true\n' "$sut_host" >"$CONTAINERS_REGISTRIES_CONF"
check 'podman pulls every tag' podman_ pull -q -a "$sut_host/team/app"
digest=$(digest_of "$sut_url" team/app 1.0)
podman_ rmi -a -f >/dev/null
check 'podman pulls by digest' podman_ pull -q --tls-verify=false "$app@$digest"

newer=$(podman_ pull -q "oci:$work/newer:latest")
check 'podman moves a tag' podman_ push -q --tls-verify=false "$newer" "$app:1.0"
check_fails 'the tag moved' test "$(digest_of "$sut_url" team/app 1.0)" = "$digest"
check 'the old digest is still there' podman_ pull -q --tls-verify=false "$app@$digest"

check_equal 'podman searches by catalog' \
  "$(podman_ search --tls-verify=false --format '{{.Name}}' "$sut_host/team" | sort | xargs)" "$sut_host/team/app $sut_host/team/twin"
check_equal 'podman lists tags' \
  "$(podman_ search --tls-verify=false --list-tags "$app" | awk 'NR > 1 { print $2 }' | sort | xargs)" '1.0 1.1 schema2 zstd'
check 'podman makes a manifest list' podman_ manifest create list "$app:1.1"
check 'podman pushes a manifest list' podman_ manifest push --all --tls-verify=false list "docker://$app:list"
check 'podman inspects a remote manifest list' podman_ manifest inspect "$app:list"
check_fails 'podman cannot pull an unknown tag' podman_ pull -q --tls-verify=false "$app:no-such"
