# shellcheck shell=bash
# The CloudFormation peer: ministack on the loopback address, for nothing else, since its other services run commands
# and containers.

MINISTACK_VENV=$CACHE/ministack-venv

install_ministack() { make_venv "$MINISTACK_VENV" "$ROOT/scripts/ministack-requirements.txt" "ministack"; }

cloudformation_endpoint() { echo "http://127.0.0.1:$(remember ministack-port free_port)"; }

ministack_up() {
  peer_running ministack && return
  say "starting the CloudFormation peer"
  local home=$PEERS/ministack
  mkdir -p "$home"
  # Left to itself it listens at every address, and uses the engine.
  start_peer ministack env BIND_HOST=127.0.0.1 GATEWAY_PORT="$(remember ministack-port free_port)" \
    DOCKER_HOST=unix:///nonexistent HOME="$home" TMPDIR="$home" S3_DATA_DIR="$home/s3" LOG_LEVEL=WARNING \
    "$MINISTACK_VENV/bin/ministack"
  wait_for_peer ministack curl -m 5 -sf -o /dev/null "$(cloudformation_endpoint)/" \
    -d 'Action=ListStacks&Version=2010-05-15'
}
