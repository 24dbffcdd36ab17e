#!/usr/bin/env bash
# s3-storage.sh start | stop | test: an S3 server on 127.0.0.1:9000 with the bucket images-local. It is MinIO by Docker
# Compose where Docker answers, else s3rver, which needs nothing. `test` runs the driver's tests against it, or against the
# server that REGION_ENDPOINT, S3_BUCKET, AWS_ACCESS_KEY and AWS_SECRET_KEY name.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
home=${TMPDIR:-/tmp}/entrepot-s3-$(id -u)
port=${S3_PORT:-9000} bucket=${S3_BUCKET:-images-local}
compose=(docker compose -f packaging/compose.yml --profile s3)

has_docker() { docker info >/dev/null 2>&1 && docker compose version >/dev/null 2>&1; }
answers() { curl -s -o /dev/null "http://127.0.0.1:$port/"; }
wait_until() { # command...
  local _
  for _ in $(seq 150); do "$@" && return; sleep 0.2; done
  echo "Cannot start an S3 server at 127.0.0.1:$port" >&2
  return 1
}

start() {
  if answers; then echo "something answers at http://127.0.0.1:$port already" && return; fi
  if has_docker; then
    "${compose[@]}" up --detach s3
    wait_until answers
    "${compose[@]}" exec -T s3 sh -c "mc alias set here http://127.0.0.1:9000 \$MINIO_ROOT_USER \$MINIO_ROOT_PASSWORD && mc mb --ignore-existing here/$bucket"
    echo "MinIO at http://127.0.0.1:$port: the keys are distribution and password, the bucket $bucket"
    return
  fi
  mkdir -p "$home/objects"
  nohup node test/support/s3rver.mjs "$home/objects" "$port" "$bucket" >"$home/log" 2>&1 &
  echo $! >"$home/pid"
  wait_until answers
  echo "s3rver at http://127.0.0.1:$port: the keys are distribution and password, the bucket $bucket"
}

stop() {
  if [ -f "$home/pid" ]; then
    kill "$(cat "$home/pid")" 2>/dev/null || true
    rm -rf "$home"
  elif has_docker; then
    "${compose[@]}" rm --stop --force s3
  fi
}

case ${1:-} in
start) start ;;
stop) stop ;;
test)
  export REGION_ENDPOINT=${REGION_ENDPOINT:-http://127.0.0.1:$port} S3_BUCKET=$bucket
  export AWS_ACCESS_KEY=${AWS_ACCESS_KEY:-distribution} AWS_SECRET_KEY=${AWS_SECRET_KEY:-password}
  exec tap run --disable-coverage test/storage/driver/s3/*.test.ts
  ;;
*) echo "s3-storage.sh start | stop | test" >&2 && exit 2 ;;
esac
