# HTTPS: skopeo, podman and curl over TLS and HTTP/2, a client of Go that mirrors us, client certificates, a certificate
# that is replaced while we run, plain HTTP on the port of TLS, HTTP/2 without TLS, and a unix socket.
. "$(dirname "$0")/lib.sh"
need skopeo podman curl jq openssl htpasswd

tls=$work/tls
mkdir "$tls"
new_key=(-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes)
openssl req -x509 "${new_key[@]}" -days 2 -subj '/CN=e2e authority' -keyout "$tls/ca.key" -out "$tls/ca.pem" 2>/dev/null
sign() { # name, common name, extension
  openssl req "${new_key[@]}" -subj "/CN=$2" -keyout "$tls/$1.key" -out "$tls/$1.csr" 2>/dev/null
  openssl x509 -req -in "$tls/$1.csr" -CA "$tls/ca.pem" -CAkey "$tls/ca.key" -CAcreateserial -days 2 \
    -extfile <(echo "$3") -out "$tls/$1.pem" 2>/dev/null
}
sign server server subjectAltName=IP:127.0.0.1
sign renewed renewed subjectAltName=IP:127.0.0.1
sign ci ci-builder extendedKeyUsage=clientAuth
sign other somebody extendedKeyUsage=clientAuth
htpasswd -Bbn -C 5 alice wonder >"$work/htpasswd"
cp "$tls/server.pem" "$tls/now.pem"
cp "$tls/server.key" "$tls/now.key"

# Starts a registry whose configuration has this section `http`, which is without TLS where `ca` is empty.
start_with() { # name, section, curl arguments that reach it...
  local name=$1 pid
  cat >"$work/$name.yml" <<Y
version: 0.1
log: {level: info}
storage: {filesystem: {rootdirectory: $work/$name}, delete: {enabled: true}}
http: {secret: e2e, $2}
${more:-}
Y
  $SUT serve "$work/$name.yml" >>"$work/$name.log" 2>&1 &
  pid=$!
  own_pids[$pid]=$name
  if ! wait_for 20 curl -sf -o /dev/null "${@:3}"; then
    not_ok "$name starts" "$(cat "$work/$name.log")"
    exit 1
  fi
  declare -g "${name}_pid=$pid"
}
version_of() { curl -sS -o /dev/null -w '%{http_version}' "$@"; }
# Pushes a file by curl with these arguments, and prints the status.
push_with() { # registry URL, repository, file, curl arguments...
  local session
  session=$(curl -sSf -D - -o /dev/null -X POST "${@:4}" "$1/v2/$2/blobs/uploads/" | location_in)
  status_of -X PUT -H 'Content-Type: application/octet-stream' -T "$3" "${@:4}" "$session&digest=$(sha256_of "$3")"
}
pulled_with() { # registry URL, repository, file, curl arguments...
  curl -sS "${@:4}" "$1/v2/$2/blobs/$(sha256_of "$3")" | cmp - "$3"
}

port=$(free_port)
host=127.0.0.1:$port url=https://127.0.0.1:$port
by_tls=(--cacert "$tls/ca.pem")
start_with https "addr: '$host', tls: {certificate: $tls/now.pem, key: $tls/now.key}" "${by_tls[@]}" "$url/"
make_image "$work/image" --layers 2 --seed tls >/dev/null
head -c 100000000 /dev/urandom >"$work/large"

# --- TLS and HTTP/2
check_equal 'curl and the registry agree on HTTP/2' "$(version_of "${by_tls[@]}" "$url/v2/")" 2
check_equal 'HTTP/1.1 is there for those who want it' "$(version_of "${by_tls[@]}" --http1.1 "$url/v2/")" 1.1
check_fails 'who does not know the authority does not connect' curl -sS "$url/v2/"
check_fails 'TLS 1.1 is not spoken' curl -sS "${by_tls[@]}" --tls-max 1.1 "$url/v2/"
check_contains 'a client that forgot the s is told so' "$(curl -s "http://$host/v2/")" 'HTTP request to an HTTPS server'
for version in --http1.1 --http2; do
  check_equal "curl $version pushes 100 MB" "$(push_with "$url" "curl/v${version##*[!0-9]}" "$work/large" "${by_tls[@]}" "$version")" 201
  check "curl $version pulls them" pulled_with "$url" "curl/v${version##*[!0-9]}" "$work/large" "${by_tls[@]}" "$version"
done
check_equal 'an upload that is refused over HTTP/2 is answered' \
  "$(status_of -X PUT "${by_tls[@]}" -T "$work/large" "$url/v2/UPPER/manifests/x")" 404

mkdir "$work/certs"
cp "$tls/ca.pem" "$work/certs/ca.crt"
secure_copy() { skopeo copy --quiet --insecure-policy --src-cert-dir "$work/certs" --dest-cert-dir "$work/certs" "$@"; }
check 'skopeo pushes' secure_copy "oci:$work/image:latest" "docker://$host/team/app:1.0"
check 'skopeo pulls' secure_copy "docker://$host/team/app:1.0" "oci:$work/back:latest"
check 'blobs come back byte for byte' diff -r "$work/image/blobs" "$work/back/blobs"
check 'podman pulls' podman_ pull -q --cert-dir "$work/certs" "$host/team/app:1.0"
check 'podman pushes' podman_ push -q --cert-dir "$work/certs" "$host/team/app:1.0" "$host/team/twin:1.0"

# A client of Go that speaks HTTP/2.
if command -v "$REFERENCE" >/dev/null; then
  mirror=127.0.0.1:$(free_port)
  printf 'version: 0.1\nstorage: {filesystem: {rootdirectory: %s}}\nhttp: {addr: "%s"}\nproxy: {remoteurl: "%s"}\n' \
    "$work/mirror" "$mirror" "$url" >"$work/mirror.yml"
  SSL_CERT_FILE=$tls/ca.pem "$REFERENCE" serve "$work/mirror.yml" >"$work/mirror.log" 2>&1 &
  own_pids[$!]=mirror
  check 'a mirror before us starts' wait_for 20 curl -sf "http://$mirror/v2/"
  check 'it has 100 MB from us' pulled_with "http://$mirror" curl/v2 "$work/large"
  check_contains 'by HTTP/2' "$(grep -a Go-http-client "$work/https.log")" 'HTTP/2.0'
fi

# --- a certificate is replaced
subject() { openssl s_client -connect "$host" </dev/null 2>/dev/null | openssl x509 -noout -subject; }
shows() { subject | grep -q "$1"; }
check 'the first certificate is shown' shows 'CN = server'
cp "$tls/renewed.key" "$tls/now.key" && cp "$tls/renewed.pem" "$tls/now.pem"
check 'its successor is shown within seconds, without a restart' wait_for 20 shows 'CN = renewed'
echo rubbish >"$tls/now.pem"
check 'a broken one is reported' wait_for 20 grep -q 'cannot replace certificate' "$work/https.log"
check 'and not used' shows 'CN = renewed'
check_equal 'the registry goes on' "$(status_of "${by_tls[@]}" "$url/v2/")" 200

# --- a stop
mkfifo "$work/pipe"
curl -sS --http2 "${by_tls[@]}" -o "$work/pipe" "$url/v2/curl/v2/blobs/$(sha256_of "$work/large")" 2>"$work/download.err" &
download=$!
exec 3<"$work/pipe"
dd bs=1000 count=1 iflag=fullblock <&3 >"$work/first" 2>/dev/null
kill -TERM "$https_pid"
check 'after SIGTERM no new connection is let in' wait_for 20 eval "! curl -s -o /dev/null ${by_tls[*]} $url/v2/"
cat <&3 >"$work/rest"
check 'a download by HTTP/2 ends well' wait "$download"
check 'and is whole' cmp "$work/large" <(cat "$work/first" "$work/rest")
stop "$https_pid"
check_equal 'the exit status is 0' "$stop_status" 0

# --- client certificates
port=$(free_port)
host=127.0.0.1:$port url=https://127.0.0.1:$port
as() { printf -- '--cert\n%s\n--key\n%s\n' "$tls/$1.pem" "$tls/$1.key"; }
mapfile -t as_ci < <(as ci)
mapfile -t as_other < <(as other)
more="auth: {htpasswd: {realm: e2e, path: $work/htpasswd}}
access:
  - {principal: 'cert:ci-*', repository: 'builds/*', actions: [pull, push]}" \
  start_with certs "addr: '$host', tls: {certificate: $tls/server.pem, key: $tls/server.key, clientcas: [$tls/ca.pem], clientauth: verify-client-cert-if-given}" \
  "${by_tls[@]}" "$url/"
check_equal 'without a certificate it is 401' "$(status_of "${by_tls[@]}" "$url/v2/")" 401
check_equal 'a certificate that a rule names is enough' "$(status_of "${by_tls[@]}" "${as_ci[@]}" "$url/v2/")" 200
check_equal 'another is not' "$(status_of "${by_tls[@]}" "${as_other[@]}" "$url/v2/")" 401
check_equal 'curl pushes by certificate and HTTP/2' "$(push_with "$url" builds/curl "$work/large" "${by_tls[@]}" "${as_ci[@]}" --http2)" 201
cp "$tls/ci.pem" "$work/certs/client.cert" && cp "$tls/ci.key" "$work/certs/client.key"
check 'skopeo pushes by certificate' secure_copy "oci:$work/image:latest" "docker://$host/builds/app:1.0"
check_fails 'and not where it may not' secure_copy "oci:$work/image:latest" "docker://$host/team/app:1.0"
check 'podman pulls by certificate' podman_ pull -q --cert-dir "$work/certs" "$host/builds/app:1.0"
stop "$certs_pid"

# --- HTTP/2 without TLS
url=http://127.0.0.1:$(free_port)
start_with h2c "addr: '${url#http://}', h2c: {enabled: true}" "$url/"
check_equal 'HTTP/1.1 goes on beside it' "$(version_of "$url/v2/")" 1.1
check_equal 'whoever begins with HTTP/2 has it' "$(version_of --http2-prior-knowledge "$url/v2/")" 2
check_equal 'curl pushes 100 MB' "$(push_with "$url" team/app "$work/large" --http2-prior-knowledge)" 201
check 'curl pulls them' pulled_with "$url" team/app "$work/large" --http2-prior-knowledge
check 'skopeo pushes' skopeo_copy "oci:$work/image:latest" "docker://${url#http://}/team/app:1.0"

# --- a unix socket
start_with unix "net: unix, addr: $work/socket" --unix-socket "$work/socket" http://localhost/
check_equal 'curl pushes by a unix socket' "$(push_with http://localhost team/app "$work/large" --unix-socket "$work/socket")" 201
check 'curl pulls' pulled_with http://localhost team/app "$work/large" --unix-socket "$work/socket"
{ kill -KILL "$unix_pid" && wait "$unix_pid" || true; } 2>/dev/null
unset "own_pids[$unix_pid]"
start_with unix "net: unix, addr: $work/socket" --unix-socket "$work/socket" http://localhost/
ok 'what a killed process has left of its socket is no obstacle'
stop "$unix_pid"
check_equal 'the exit status is 0' "$stop_status" 0
