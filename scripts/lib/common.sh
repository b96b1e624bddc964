# shellcheck shell=bash
# Paths, messages and the care of background processes, shared by every script.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
CACHE=$ROOT/.cache
PEERS=$CACHE/peers
export DEBIAN_FRONTEND=noninteractive
mkdir -p "$PEERS"

# One line about what happens now.
say() { printf '==> %s\n' "$*" >&2; }

die() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

# quietly WHAT COMMAND...: runs a long command with its output in a log file, a sign of life every
# 15 s, and the last lines of the log if it fails.
quietly() {
  local what=$1 log started=$SECONDS pid
  shift
  log=$CACHE/logs/${what//[^a-zA-Z0-9]/-}.log
  mkdir -p "$CACHE/logs"
  say "$what"
  "$@" >"$log" 2>&1 </dev/null &
  pid=$!
  while kill -0 "$pid" 2>/dev/null; do
    sleep 0.2
    if ((SECONDS - started >= 15 && (SECONDS - started) % 15 == 0)); then
      say "$what: $((SECONDS - started)) s so far"
      sleep 1
    fi
  done
  if ! wait "$pid"; then
    tail -n 40 "$log" >&2
    die "$what failed; its whole output is in $log"
  fi
}

# A TCP port that nothing listens on, on any address.
free_port() {
  python3 -c 'import socket; s = socket.socket(); s.bind(("", 0)); print(s.getsockname()[1])'
}

# The start time of a living process in clock ticks: with the pid it names one process for good.
# One that has ended (state Z) only waits for its parent to notice.
started_at() { sed 's/^.*) //' "/proc/$1/stat" 2>/dev/null | awk '$1 != "Z" { print $20 }'; }

# peer_running NAME: whether the process that start_peer recorded still lives.
peer_running() {
  local pid ticks
  [[ -f $PEERS/$1.pid ]] || return 1
  read -r pid ticks <"$PEERS/$1.pid"
  [[ -n $ticks && $(started_at "$pid") == "$ticks" ]]
}

# start_peer NAME COMMAND...: starts a server that outlives this script and records its pid.
start_peer() {
  local name=$1
  shift
  # 9 is the lock of scripts/peers, which a server would hold for ever.
  setsid "$@" >"$PEERS/$name.log" 2>&1 </dev/null 9>&- &
  printf '%s %s\n' "$!" "$(started_at "$!")" >"$PEERS/$name.pid"
}

# wait_for_peer NAME COMMAND...: polls until the command succeeds; shows the peer's log if it never does.
wait_for_peer() {
  local name=$1 end=$((SECONDS + 90))
  shift
  until "$@" >/dev/null 2>&1; do
    if ! peer_running "$name" || ((SECONDS >= end)); then
      tail -n 20 "$PEERS/$name.log" >&2
      die "$name did not come up; its log is $PEERS/$name.log"
    fi
    sleep 0.2
  done
}

# stop_peer NAME [SIGNAL]: ends what start_peer recorded and nothing else, and waits for its end.
stop_peer() {
  local pid
  if peer_running "$1"; then
    read -r pid _ <"$PEERS/$1.pid"
    say "stopping $1 (pid $pid)"
    kill -s "${2:-TERM}" "$pid" 2>/dev/null || true
    for _ in {1..100}; do
      peer_running "$1" || break
      sleep 0.1
    done
    peer_running "$1" && kill -KILL "$pid"
  fi
  rm -f "$PEERS/$1.pid"
}

# remember NAME COMMAND...: the output of the command, computed once and kept until `peers down`.
remember() {
  local file=$PEERS/$1.value
  shift
  [[ -s $file ]] || "$@" >"$file"
  cat "$file"
}
