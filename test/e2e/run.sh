#!/usr/bin/env bash
# Runs the scenarios in this folder against the built program, each in a process of its own:
#
#   run.sh [NAME...]      all of them, or those named (skopeo, mirror, …)
#
# Prints their `ok` and `not ok` lines and, last, `N passed, N failed`; exit status 1 if anything failed. A scenario
# that ends badly or takes more than SCENARIO_SECONDS counts as one failure. A missing program fails when CI=true and
# is a skip, said so, elsewhere.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
limit=${SCENARIO_SECONDS:-600}
passed=0 failed=0 skipped=0
output=$(mktemp "${TMPDIR:-/tmp}/e2e-output.XXXXXX")
trap 'rm -f "$output"' EXIT

if [ $# -gt 0 ]; then scenarios=("${@/%/.e2e.sh}"); else scenarios=($(cd "$here" && ls -- *.e2e.sh)); fi
for scenario in "${scenarios[@]}"; do
  echo "# $scenario"
  started=$SECONDS status=0
  timeout --kill-after=20 "$limit" bash "$here/$scenario" 2>&1 | tee "$output" || status=$?
  [ "$status" = 0 ] || echo "not ok - $scenario ended with status $status" | tee -a "$output"
  passed=$((passed + $(grep -ac '^ok ' "$output" || true)))
  failed=$((failed + $(grep -ac '^not ok ' "$output" || true)))
  skipped=$((skipped + $(grep -ac '^skip ' "$output" || true)))
  echo "# $((SECONDS - started)) s"
done

[ "$skipped" = 0 ] || echo "# $skipped skipped for want of a program"
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
