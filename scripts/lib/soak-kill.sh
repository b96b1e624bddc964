# shellcheck shell=bash
# Every deployment killed at every step, and what came of it, for the docs.
#
# On an engine of its own, in a container: a kill in the midst of a build can wedge BuildKit of Docker
# 20.10 (docs/faults.md), and then no other build on that engine ends. So those come last, and the
# engine is started anew before each.

# Requests that belong to a build.
OF_A_BUILD=(docker.build@ docker.session@ docker.grpc@)

# kill_table LOG: what was tried and held, by scenario and by the way of the kill.
kill_table() {
  awk '/^test .* \.\.\. (ok|FAILED|ignored)/ {
    split($2, part, "::")
    scenario = part[1] == "torn" ? "files torn, " part[2] : part[1]
    way = part[1] == "torn" ? "torn" : part[3] == "" ? part[2] : part[3]
    gsub("_", " ", scenario); gsub("_", " ", way)
    row = scenario " | " way
    if (way != "torn" && way != "undisturbed" && !seen[part[1], part[2]]++) points[scenario]++
    rows[row]
    if (/\.\.\. ignored/) { left[row]++; none++; next }
    tried[row]++; held[row] += $NF == "ok"; all++; good += $NF == "ok"
  }
  END {
    print "| scenario | ended by | tried | held | left out |"; print "|---|---|---|---|---|"
    for (row in rows) printf "| %s | %d | %d | %d |\n", row, tried[row], held[row], left[row] | "sort"
    close("sort")
    printf "| all | | %d | %d | %d |\n\n", all, good, none
    for (scenario in points) printf "- %s: %d points\n", scenario, points[scenario] | "sort"
    close("sort")
  }' "$1"
}

# killed ARGUMENTS...: runs the harness beside the engine; arguments go to its runner.
killed() { (cd "$ROOT" && beside_engine env KILL_ALL=1 cargo test --locked --test kill -- "$@"); }

soak_kill() (
  trap engine_down EXIT
  local log=$CACHE/logs/soak-kill.log begun=$SECONDS failed=0 result name where
  "$ROOT/scripts/machines" up bookworm
  cargo test --locked --test kill --no-run
  engine_up bookworm
  where="$(circumstances) Engine of its own: Docker $(engine_docker version --format '{{.Server.Version}}')."
  result=$(mktemp)
  say "killing at every step; all of the output is in $log"
  # Line by line, so that whoever looks sees each point.
  killed --test-threads "${KILL_THREADS:-3}" "${OF_A_BUILD[@]/#/--skip=}" "$@" >"$log" 2>&1 || failed=1
  grep -q '^test result: ' "$log" || die "the run did not come to its end; its output is in $log"
  mapfile -t names < <(killed --list "$@" 2>/dev/null | sed -n 's/: test$//p' | grep -F "$(printf '%s\n' "${OF_A_BUILD[@]}")")
  for name in "${names[@]}"; do
    engine_restart
    killed --exact "$name" >>"$log" 2>&1 || failed=1
  done
  grep -E '^test .* \.\.\. ' "$log" || true
  {
    # shellcheck disable=SC2016
    printf '# Killed at every step\n\nWritten by `scripts/soak kill`. '
    printf '%s Took: %d min.\n\n' "$where" $(((SECONDS - begun) / 60))
    kill_table "$log"
    printf '\nNot held:\n\n'
    # shellcheck disable=SC2016
    sed -n 's/^test \([^ ]*\) *\.\.\. FAILED.*/- `\1`/p' "$log" | grep . || printf -- '- none\n'
  } >"$result"
  cat "$result"
  if (($# == 0)); then mkdir -p "$RESULTS" && cp "$result" "$RESULTS/kill.md"; fi
  rm "$result"
  return "$failed"
)
