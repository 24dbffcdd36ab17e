# The token service with the clients that use it: skopeo and podman log in, push and pull with tokens, and are kept from
# what the rules do not allow.
. "$(dirname "$0")/lib.sh"
need podman skopeo jq htpasswd

htpasswd -nbB alice wonder >"$work/htpasswd"
htpasswd -nbB bob builder >>"$work/htpasswd"
sut_host=127.0.0.1:$(free_port) sut_url=http://$sut_host
cat >"$work/sut.yml" <<Y
version: 0.1
storage: {filesystem: {rootdirectory: $work/sut}}
http: {addr: "$sut_host", secret: e2e}
auth: {htpasswd: {realm: e2e, path: $work/htpasswd}}
access:
  - {principal: alice, repository: team/*, actions: "*"}
  - {principal: bob, repository: team/*, actions: pull}
  - {principal: anonymous, repository: team/public, actions: pull}
tokenservice: {enabled: true, keys: $work/keys}
Y
# A registry that asks who its clients are answers 401, which is an answer.
"$SUT" serve "$work/sut.yml" >"$work/sut.log" 2>&1 &
sut_pid=$!
own_pids[$sut_pid]=sut
if ! wait_for 20 curl -s "$sut_url/v2/"; then
  not_ok 'the registry starts' "$(cat "$work/sut.log")"
  exit 1
fi
make_image "$work/image" --layers 2 --seed token >/dev/null
app=$sut_host/team/app

check_contains 'clients are told where tokens are' "$(curl -s -i "$sut_url/v2/")" "Bearer realm=\"$sut_url/auth/token\""
check_equal 'the keys are published' "$(curl -s "$sut_url/auth/token/jwks.json" | jq -r '.keys[0].alg')" ES256

skopeo_() { skopeo "$1" --authfile "$work/$user.json" --tls-verify=false "${@:2}"; }
copy() { # user, source, destination
  skopeo_copy "$2" "$3" --authfile "$work/$1.json"
}
user=alice
check 'skopeo logs in' skopeo_ login -u alice -p wonder "$sut_host"
user=bob
check_fails 'skopeo does not log in with a wrong password' skopeo_ login -u bob -p wonder "$sut_host"
check 'skopeo logs in as somebody else' skopeo_ login -u bob -p builder "$sut_host"
check 'skopeo pushes' copy alice "oci:$work/image:latest" "docker://$app:1.0"
check 'skopeo pushes to a second repository' copy alice "docker://$app:1.0" "docker://$sut_host/team/public:1.0"
check_fails 'skopeo does not push where no rule allows it' copy alice "oci:$work/image:latest" "docker://$sut_host/other/app:1.0"
check 'skopeo pulls' copy bob "docker://$app:1.0" "oci:$work/pulled:1.0"
check_fails 'skopeo does not push as somebody who may only pull' copy bob "oci:$work/image:latest" "docker://$app:2.0"
check 'skopeo pulls what anonymous may pull' copy nobody "docker://$sut_host/team/public:1.0" "oci:$work/public:1.0"
check_fails 'skopeo does not pull anything else without a name' copy nobody "docker://$app:1.0" "oci:$work/no:1.0"

export REGISTRY_AUTH_FILE=$work/podman.json
check 'podman logs in' podman_ login --tls-verify=false -u alice -p wonder "$sut_host"
check 'podman pulls' podman_ pull -q --tls-verify=false "$app:1.0"
check 'podman tags' podman_ tag "$app:1.0" "$app:podman"
check 'podman pushes' podman_ push -q --tls-verify=false "$app:podman"
check 'podman logs out' podman_ logout "$sut_host"
podman_ rmi -a -f >/dev/null
check_fails 'podman does not pull without its login' podman_ pull -q --tls-verify=false "$app:podman"

token=$("$SUT" token --config "$work/sut.yml" --user ci --scope repository:team/app:pull)
check_equal 'a token of the command line is taken' \
  "$(status_of -H "Authorization: Bearer $token" "$sut_url/v2/team/app/tags/list")" 200
check_equal 'and held to what it grants' \
  "$(status_of -H "Authorization: Bearer $token" "$sut_url/v2/team/public/tags/list")" 401
stop "$sut_pid"
check_equal 'the registry ends well' "$stop_status" 0
