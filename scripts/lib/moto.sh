# shellcheck shell=bash
# The SSM peer: moto's server on the loopback address.

ssm_endpoint() { echo "http://127.0.0.1:$(remember moto-port free_port)"; }

moto_up() {
  peer_running moto && return
  say "starting the SSM peer"
  start_peer moto "$VENV/bin/moto_server" -H 127.0.0.1 -p "$(remember moto-port free_port)"
  wait_for_peer moto curl -m 2 -sf "$(ssm_endpoint)/moto-api/data.json"
}
