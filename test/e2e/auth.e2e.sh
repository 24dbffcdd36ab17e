# Names and passwords from an htpasswd file: logins, pushes and pulls of skopeo and podman, what they are refused, and
# anonymous pulls beside authenticated pushes.
. "$(dirname "$0")/lib.sh"
need skopeo podman htpasswd curl jq

htpasswd -Bbn -C 5 alice wonder >"$work/htpasswd"
htpasswd -Bbn -C 10 bob builder >>"$work/htpasswd"
start_registry sut "$SUT" "$work/sut" "auth: {htpasswd: {realm: Entrepot, path: $work/htpasswd}}
access:
  - {principal: alice, repository: '*', actions: '*'}
  - {principal: '*', repository: '{user}/*', actions: [pull, push]}
  - {principal: anonymous, repository: public/*, actions: [pull]}"
make_image "$work/image" --layers 2 --seed auth >/dev/null
oci=oci:$work/image:latest
login() { # program, user, password
  "$1" login --tls-verify=false --authfile "$work/$2.json" -u "$2" -p "$3" "$sut_host"
}
copy_as() { # user, source, destination
  skopeo_copy "$2" "$3" --authfile "$work/$1.json"
}

check_equal 'without credentials /v2/ is 401' "$(status_of "$sut_url/v2/")" 401
check_equal 'the challenge is Basic' "$(curl -sI "$sut_url/v2/" | header www-authenticate)" 'Basic realm="Entrepot"'
check_fails 'skopeo cannot log in with a wrong password' login skopeo alice wrong
check_fails 'podman cannot log in with a wrong password' login podman_ alice wrong
check_fails 'nobody logs in who is not in the file' login skopeo mallory wonder
rm -f "$work"/*.json
check 'skopeo logs in' login skopeo alice wonder
check 'podman logs in' login podman_ bob builder

check 'skopeo pushes' copy_as alice "$oci" "docker://$sut_host/team/app:1.0"
check 'skopeo pulls' copy_as alice "docker://$sut_host/team/app:1.0" "oci:$work/back:latest"
check 'skopeo pushes what is public' copy_as alice "$oci" "docker://$sut_host/public/app:1.0"
check_fails 'a user who may not cannot push' copy_as bob "$oci" "docker://$sut_host/team/app:2.0"
check_fails 'a user who may not cannot pull' copy_as bob "docker://$sut_host/team/app:1.0" "dir:$work/none"
check_equal 'that is 403' "$(status_of -u bob:builder "$sut_url/v2/team/app/manifests/1.0")" 403
check 'a user pushes to repositories of their own' copy_as bob "$oci" "docker://$sut_host/bob/app:1.0"

echo '{}' >"$work/nobody.json"
check_fails 'skopeo without credentials cannot push' copy_as nobody "$oci" "docker://$sut_host/public/app:2.0"
check_fails 'skopeo without credentials cannot pull what is not public' copy_as nobody "docker://$sut_host/team/app:1.0" "dir:$work/none"
check 'skopeo without credentials pulls what is public' copy_as nobody "docker://$sut_host/public/app:1.0" "oci:$work/public:latest"
check 'blobs come back byte for byte' diff -r "$work/image/blobs" "$work/public/blobs"

pull_as() { podman_ pull -q --tls-verify=false --authfile "$work/$1.json" "$sut_host/$2"; }
check 'podman without credentials pulls what is public' pull_as nobody public/app:1.0
check_fails 'podman without credentials cannot pull what is not' pull_as nobody team/app:1.0
check 'podman pulls with credentials' pull_as bob bob/app:1.0
check 'podman pushes with credentials' podman_ push -q --tls-verify=false --authfile "$work/bob.json" "$sut_host/bob/app:1.0" "$sut_host/bob/twin:1.0"
check_fails 'podman without credentials cannot push' \
  podman_ push -q --tls-verify=false --authfile "$work/nobody.json" "$sut_host/bob/app:1.0" "$sut_host/public/x:1.0"

check_equal 'the catalog shows a user what that user may pull' \
  "$(curl -sf -u bob:builder "$sut_url/v2/_catalog" | jq -c .repositories)" '["bob/app","bob/twin","public/app"]'
check_equal 'the catalog shows nobody what is public' "$(curl -sf "$sut_url/v2/_catalog" | jq -c .repositories)" '["public/app"]'

htpasswd -Bb -C 5 "$work/htpasswd" bob changed 2>/dev/null
bob_is() { [ "$(status_of -u "bob:$1" "$sut_url/v2/")" = "$2" ]; }
check 'a changed password counts within seconds' wait_for 5 bob_is changed 200
check_equal 'the old one does not' "$(status_of -u bob:builder "$sut_url/v2/")" 401
