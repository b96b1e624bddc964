# shellcheck shell=bash
# The matrix of engines: the tests of the Docker adapter against other engines than this machine's.
#
# The engine runs in a container. The tests run on this machine's files, in the container's network
# and among its processes, with its socket in the place of this machine's own. So they need not know:
# ports are published where they look for them, the process ids that the engine tells are theirs, and
# the peers are carried to the addresses they have here.

# The tests that ask most of the real engine. Those of reload, migrate and run_once ask nothing else of it.
ENGINE_TESTS=(engine pull build_image build_run old_builds jobs start swap supervise_app)

# The API version that the engine of a suite speaks, where it does not move.
declare -A SUITE_API=([bookworm]=1.41 [trixie]=1.45)

# What an engine needs in a container. CAP_SYS_RESOURCE, and with it --privileged, is not to be had everywhere.
ENGINE_CAPABILITIES=(SYS_ADMIN NET_ADMIN NET_RAW SYS_PTRACE SYS_NICE MKNOD SETFCAP AUDIT_WRITE DAC_READ_SEARCH
  IPC_LOCK IPC_OWNER LINUX_IMMUTABLE MAC_ADMIN SYS_CHROOT SYSLOG)

# PID 1 of the container: dockerd does not reap the processes that the tests leave to it.
# shellcheck disable=SC2016
ENGINE_INIT='"$0" "$@" & trap "kill $!" TERM; wait; wait'

ENGINE_NAME=
ENGINE_DIR=
ENGINE_FORWARDER=

# engine_up SUITE: starts the engine and carries the peers to it.
engine_up() {
  ENGINE_NAME=preview-agent-engine-$$
  ENGINE_DIR=$(mktemp -d "${TMPDIR:-/tmp}/preview-agent-engine.XXXXXX")
  # Whatever a test gives a container by path lies below the folder for temporary files.
  docker run --detach --name "$ENGINE_NAME" "${ENGINE_CAPABILITIES[@]/#/--cap-add=}" \
    --security-opt seccomp=unconfined --security-opt apparmor=unconfined --security-opt systempaths=unconfined \
    --cgroupns=host --tmpfs /run --volume /var/lib/docker --volume /sys/fs/cgroup:/sys/fs/cgroup:rw \
    --volume "$ENGINE_DIR:$ENGINE_DIR" --volume "${TMPDIR:-/tmp}:${TMPDIR:-/tmp}" \
    --stop-signal TERM --stop-timeout 60 \
    "$(machine_image "$1")" bash -c "$ENGINE_INIT" dockerd --host "unix://$ENGINE_DIR/docker.sock" \
    --cgroup-parent "/$ENGINE_NAME" >/dev/null
  engine_answers
}

# engine_restart: the same engine with the same images, in another process.
engine_restart() {
  kill "$ENGINE_FORWARDER" 2>/dev/null || true
  docker restart "$ENGINE_NAME" >/dev/null
  engine_answers
}

# engine_answers: waits for the engine and carries the peers to it.
engine_answers() {
  local end=$((SECONDS + 60))
  until engine_docker version >/dev/null 2>&1; do
    if ((SECONDS >= end)) || [[ $(docker inspect --format '{{.State.Running}}' "$ENGINE_NAME") != true ]]; then
      docker logs --tail 20 "$ENGINE_NAME" >&2
      die "the engine $ENGINE_NAME did not come up"
    fi
    sleep 0.2
  done
  carry_peers
}

engine_docker() { docker --host "unix://$ENGINE_DIR/docker.sock" "$@"; }

# engine_namespaces: the folder with the files that name the container's namespaces.
engine_namespaces() { echo "/proc/$(docker inspect --format '{{.State.Pid}}' "$ENGINE_NAME")/ns"; }

# peer KEY [FILE]: what the peers' list says of it.
peer() { sed -n "s/^$1=//p" "$PEERS/env"; }

# carry_peers: they listen on the same loopback ports there, PostgreSQL on the gateway of that engine's bridge.
carry_peers() {
  local gateway here there=() pair
  # Asked of the device: Docker 20.10 does not tell a gateway that it chose itself.
  gateway=$(nsenter --net="$(engine_namespaces)/net" ip -4 -o address show dev docker0 | sed 's|.* inet \([0-9.]*\)/.*|\1|')
  [[ -n $gateway ]] || die "the engine's bridge has no address"
  here=$(peer PEERS_POSTGRES_HOST):$(peer PEERS_POSTGRES_PORT)
  for pair in "$(peer PEERS_REGISTRY)" "$(peer PEERS_SSM_ENDPOINT)"; do
    pair=${pair#http://}
    there+=("$pair=$pair")
  done
  there+=("$gateway:${here##*:}=$here")
  sed "s/^PEERS_POSTGRES_HOST=.*/PEERS_POSTGRES_HOST=$gateway/" "$PEERS/env" >"$ENGINE_DIR/env"
  # That of a carrier before says "ready", too.
  rm -f "$ENGINE_DIR/forward.log"
  python3 "$ROOT/scripts/lib/forward.py" "$(engine_namespaces)/net" "${there[@]}" >"$ENGINE_DIR/forward.log" 2>&1 &
  ENGINE_FORWARDER=$!
  until grep -qs ready "$ENGINE_DIR/forward.log"; do
    if ! kill -0 "$ENGINE_FORWARDER" 2>/dev/null; then
      cat "$ENGINE_DIR/forward.log" >&2
      die "the peers could not be carried to the engine"
    fi
    sleep 0.1
  done
}

# beside_engine COMMAND...: runs it beside the engine, with its socket and its list of peers.
# shellcheck disable=SC2016
beside_engine() {
  unshare --mount --propagation private bash -c '
    set -e
    mount --bind "$1/docker.sock" /var/run/docker.sock
    mount --bind "$1/env" "$2/env"
    exec nsenter --net="$3/net" --pid="$3/pid" -- bash -ec "mount -t proc proc /proc; exec \"\$@\"" bash "${@:4}"
  ' bash "$ENGINE_DIR" "$PEERS" "$(engine_namespaces)" "$@"
}

# engine_down: whatever engine_up has made so far; safe to run twice.
engine_down() {
  [[ -n $ENGINE_NAME ]] || return 0
  [[ -z $ENGINE_FORWARDER ]] || kill "$ENGINE_FORWARDER" 2>/dev/null || true
  # An engine that is stopped ends its own containers first, and with them their control groups.
  docker stop "$ENGINE_NAME" >/dev/null 2>&1 || true
  docker rm --force --volumes "$ENGINE_NAME" >/dev/null 2>&1 || true
  find /sys/fs/cgroup -depth -type d -path "*/$ENGINE_NAME*" -exec rmdir {} + 2>/dev/null || true
  rm -rf --one-file-system "$ENGINE_DIR"
  ENGINE_NAME=
}

# engine_tests SUITE [ARGUMENTS...]: runs the adapter's tests on that suite's engine; arguments go to the test runner.
engine_tests() {
  local suite=$1 started=$SECONDS result=0 runner=(test)
  shift
  if cargo nextest --version >/dev/null 2>&1; then runner=(nextest run); fi
  (cd "$ROOT" && cargo "${runner[@]}" --no-run --locked "${ENGINE_TESTS[@]/#/--test=}")
  engine_up "$suite"
  say "the engine of $suite: $(engine_docker version --format 'Docker {{.Server.Version}}, API {{.Server.APIVersion}}')"
  (cd "$ROOT" && beside_engine cargo "${runner[@]}" --locked "${ENGINE_TESTS[@]/#/--test=}" "$@") || result=$?
  engine_down
  say "the engine of $suite: exit code $result after $((SECONDS - started)) s"
  return "$result"
}

# engine_matrix SUITE...: on every engine but this machine's own, on which scripts/test runs all tests.
engine_matrix() {
  local own suite
  own=$(docker version --format '{{.Server.APIVersion}}')
  for suite in "$@"; do
    if [[ ${SUITE_API[$suite]:-} == "$own" ]]; then
      say "the engine of $suite speaks API $own, as this machine's own: not run twice"
    else
      "$ROOT/scripts/engines" "$suite"
    fi
  done
}
