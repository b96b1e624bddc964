# shellcheck shell=bash
# The private registry: Debian's docker-registry with a password, on the loopback address.

REGISTRY_USER=octocat
REGISTRY_PASSWORD='reg/pass+w0rd='

registry_host() { echo "127.0.0.1:$(remember registry-port free_port)"; }

registry_answers() { [[ $(curl -m 2 -s -o /dev/null -w '%{http_code}' "http://$(registry_host)/v2/") == 401 ]]; }

registry_up() {
  peer_running registry && return
  say "starting the private registry"
  local dir=$PEERS/registry host
  mkdir -p "$dir/data"
  host=$(registry_host)
  htpasswd -Bbn "$REGISTRY_USER" "$REGISTRY_PASSWORD" >"$dir/htpasswd"
  cat >"$dir/config.yml" <<EOF
version: 0.1
log: { level: warn, accesslog: { disabled: true } }
storage:
  filesystem: { rootdirectory: $dir/data }
  delete: { enabled: true }
http: { addr: "$host", secret: only-for-tests }
auth: { htpasswd: { realm: test, path: $dir/htpasswd } }
EOF
  start_peer registry docker-registry serve "$dir/config.yml"
  wait_for_peer registry registry_answers
}

# registry_has NAME:TAG: whether the registry holds this image.
registry_has() {
  curl -m 5 -sf -o /dev/null -u "$REGISTRY_USER:$REGISTRY_PASSWORD" \
    -H 'Accept: application/vnd.docker.distribution.manifest.v2+json' \
    "http://$(registry_host)/v2/${1%:*}/manifests/${1##*:}"
}

# registry_docker ARGUMENTS...: docker with the registry's credentials, which stay in the cache folder.
registry_docker() {
  local config=$PEERS/docker-config
  mkdir -p "$config"
  jq -n --arg host "$(registry_host)" --arg auth "$(printf %s "$REGISTRY_USER:$REGISTRY_PASSWORD" | base64 -w0)" \
    '{auths: {($host): {auth: $auth}}}' >"$config/config.json"
  DOCKER_CONFIG=$config docker "$@"
}
