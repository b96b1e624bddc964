# shellcheck shell=bash
# Every fuzz target for a while, and what came of it, for the docs.

FUZZ_TOOLS=$CACHE/fuzz-tools
FUZZ_TARGET=$CACHE/fuzz-target

install_cargo_fuzz() {
  [[ -x $FUZZ_TOOLS/bin/cargo-fuzz ]] && return
  CARGO_TARGET_DIR=$FUZZ_TARGET/tools quietly "installing cargo-fuzz" cargo install cargo-fuzz --locked --root "$FUZZ_TOOLS"
}

# fuzz_one TARGET SECONDS: a row of the page. It goes on after a finding, which it keeps. No sanitizer
# but libFuzzer's own: the agent forbids unsafe code.
fuzz_one() {
  local target=$1 seconds=$2 log=$CACHE/logs/fuzz-$1.log work=$FUZZ_TARGET/corpus/$1 found=$FUZZ_TARGET/found/$1 last
  mkdir -p "$work" "$found" "$CACHE/logs"
  cp -n "$ROOT/fuzz/corpus/$target"/* "$work/"
  nice -n 19 "$FUZZ_TARGET/x86_64-unknown-linux-gnu/release/$target" -fork=1 -ignore_crashes=1 \
    -ignore_timeouts=1 -ignore_ooms=1 -max_total_time="$seconds" -rss_limit_mb=1024 -timeout=10 \
    -max_len=16384 -dict="$ROOT/fuzz/words.dict" -artifact_prefix="$found/" "$work" >"$log" 2>&1 </dev/null || true
  last=$(grep -a '^#[0-9]*: cov:' "$log" | tail -n 1)
  printf '| %s | %s | %s | %s | %s |\n' "$target" "$seconds" \
    "$(sed -E 's/^#([0-9]+):.*/\1/' <<<"$last")" "$(sed -E 's/.* cov: ([0-9]+) .*/\1/' <<<"$last")" \
    "$(find "$found" -type f | wc -l)" >"$FUZZ_TARGET/$target.row"
}

# soak_fuzz [SECONDS]: all targets, two at a time, each for so long.
soak_fuzz() {
  local seconds=${1:-600} targets target
  install_cargo_fuzz
  cd "$ROOT" || return
  # The instrumentation asks for a nightly compiler's options.
  RUSTC_BOOTSTRAP=1 CARGO_TARGET_DIR=$FUZZ_TARGET PATH=$PATH:$FUZZ_TOOLS/bin \
    quietly "building the fuzz targets" cargo fuzz build -s none --strip-dead-code true
  mapfile -t targets < <(basename -s .rs -a "$ROOT"/fuzz/fuzz_targets/*.rs)
  for target in "${targets[@]}"; do
    while (($(jobs -pr | wc -l) >= 2)); do wait -n; done
    say "fuzzing $target for $seconds s"
    fuzz_one "$target" "$seconds" &
  done
  wait
  {
    # shellcheck disable=SC2016 # the backquotes are Markdown's
    printf '# Fuzzing\n\nWritten by `scripts/soak fuzz`. %s\n\n' "$(circumstances)"
    printf '| target | seconds | executions | coverage edges | findings |\n|---|---|---|---|---|\n'
    for target in "${targets[@]}"; do cat "$FUZZ_TARGET/$target.row"; done
  } >"$RESULTS/fuzz.md"
  cat "$RESULTS/fuzz.md"
}
