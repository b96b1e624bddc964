# shellcheck shell=bash
# Much of everything at full size, and what the agent used meanwhile.

# soak_pressure: runs the tests of tests/pressure.rs at full size, one at a time so
# that none is measured beside another, and writes what they measured.
soak_pressure() {
  local log=$CACHE/logs/soak-pressure.log held=0 began=$SECONDS
  mkdir -p "$CACHE/logs" "$RESULTS"
  say "pressure at full size; this takes about ten minutes"
  (cd "$ROOT" && PRESSURE=full cargo test --locked --test pressure -- --nocapture --test-threads=1) \
    >"$log" 2>&1 || held=$?
  pressure_report "$log" $((SECONDS - began)) >"$RESULTS/pressure.md"
  sed -n 's/^.*pressure: /  /p' "$log" >&2
  ((held == 0)) || die "not all of it held; the whole output is in $log"
  say "all held; the result is in $RESULTS/pressure.md"
}

# shellcheck disable=SC2016  # the backquotes are Markdown
# pressure_report LOG SECONDS: the result as a page.
pressure_report() {
  local log=$1 seconds=$2 result
  result=$(grep '^test result: ' "$log" | tail -n 1)
  printf '# Pressure at full size\n\n'
  printf 'Written by `scripts/soak pressure`: what the agent used while there was much of everything.\n\n'
  printf '%s A build for development.\n\n' "$(circumstances)"
  printf -- '- Took: %s s\n- Result: %s\n\n' "$seconds" "${result#test result: }"
  printf '| case | size | measured |\n|---|---|---|\n'
  sed -n 's/^.*pressure: \(.*\)$/| \1 |/p' "$log"
}
