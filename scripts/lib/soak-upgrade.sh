# shellcheck shell=bash
# From the agent of an earlier commit to this one, both as they are.

# The last one before the database was asked: it knew no databases and named a job's image by its id.
BEFORE=fbd10db
BEFORE_SOURCE=$CACHE/before

soak_upgrade() {
  local commit target=$CACHE/before-target
  commit=$(git -C "$ROOT" rev-parse --verify --quiet "$BEFORE^{commit}") ||
    die "the history of this checkout does not reach back to $BEFORE"
  mkdir -p "$BEFORE_SOURCE"
  git -C "$ROOT" archive "$commit" | tar -x -C "$BEFORE_SOURCE"
  (cd "$BEFORE_SOURCE" && CARGO_TARGET_DIR=$target quietly "building the agent of $BEFORE" cargo build --locked --bin agent)
  cd "$ROOT" || return
  AGENT_BEFORE=$target/debug/agent cargo test --locked --test upgrade -- --ignored
}
