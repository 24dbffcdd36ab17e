#!/usr/bin/env bash
# The same recorded scripts against Debian's docker-registry and the registry under test: every difference has a reason.
. "$(dirname "$0")/lib.sh"
need "$REFERENCE" openssl

status=0
SUT=$SUT REFERENCE=$REFERENCE node "$project/test/compatibility/compare.mjs" >"$work/compare.out" 2>&1 || status=$?
summary=$(grep -E '^[0-9]+ passed, [0-9]+ failed$' "$work/compare.out" | tail -n 1)
if [ "$status" = 0 ] && [ -n "$summary" ]; then
  for number in $(seq "${summary%% *}"); do echo "ok $number - compared"; done
else
  grep -E '^not ok' "$work/compare.out" || true
  not_ok 'every difference has a reason' "$(cat "$work/compare.out")"
fi
