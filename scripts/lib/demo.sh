# shellcheck shell=bash
# The pieces of the demo: what the agent finds in the parameter store, its configuration, its traces.

DEMO=$CACHE/demo
STATUS_PARAMETER=/pr-preview/demo/status

# demo_environment: points the agent and the aws client at the peers, whatever else is configured here.
demo_environment() {
  unset AWS_PROFILE AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN AWS_REGION AWS_EC2_METADATA_DISABLED
  export AWS_CONFIG_FILE=/dev/null AWS_SHARED_CREDENTIALS_FILE=/dev/null AWS_DEFAULT_REGION=us-east-1
  export AWS_ENDPOINT_URL_SSM=$PEERS_SSM_ENDPOINT AWS_EC2_METADATA_SERVICE_ENDPOINT=$PEERS_IMDS_ENDPOINT
  export RUNTIME_DIRECTORY=$DEMO/run STATE_DIRECTORY=$DEMO/state
}

demo_database() {
  local statement
  for statement in 'DROP DATABASE IF EXISTS demo WITH (FORCE)' 'CREATE DATABASE demo'; do
    PGPASSWORD=$PEERS_POSTGRES_PASSWORD "$PEERS_POSTGRES_BIN/psql" -q -h "$PEERS_POSTGRES_HOST" \
      -p "$PEERS_POSTGRES_PORT" -U "$PEERS_POSTGRES_USER" -d postgres -c "$statement"
  done
}

# secret NAME VALUE: the value goes in by a file, since an argument list is anybody's to read.
secret() {
  printf %s "$2" >"$DEMO/value"
  "$PEERS_AWS" ssm put-parameter --overwrite --type SecureString --name "/pr-preview/demo/$1" \
    --value "file://$DEMO/value" >/dev/null
  rm "$DEMO/value"
}

# demo_port: 8000 as in the handbook, or a free one where that is taken.
demo_port() {
  python3 -c 'import socket; socket.create_server(("", 8000)); print(8000)' 2>/dev/null || free_port
}

# demo_config TAG PORT: the agent's configuration for this tag of the image.
demo_config() {
  cat <<EOF
deployment: { id: demo }
image: $PEERS_REGISTRY/acme/tasks-api:$1
registries:
  "$PEERS_REGISTRY":
    username: $PEERS_REGISTRY_USER
    password: { ssm: /pr-preview/demo/registry-password }
source:
  repository: acme/tasks-api
  ref: $PEERS_SOURCE_COMMIT
  token: { ssm: /pr-preview/demo/github-token }
  api_url: $PEERS_GITHUB_API
  build_args: { BASE: "$PEERS_PLATFORM_BASE" }
database:
  host: $PEERS_POSTGRES_HOST
  port: $PEERS_POSTGRES_PORT
  name: demo
  user: $PEERS_POSTGRES_USER
  password: { ssm: /pr-preview/demo/database-password }
jobs:
  - name: init-sql
    image: $PEERS_REGISTRY/tools/psql:15
    command: [psql, -v, ON_ERROR_STOP=1, -f, /job/init.sql]
    files: { /job/init.sql: $ROOT/examples/tasks-api/init.sql }
  - name: check-sql
    image: $PEERS_REGISTRY/tools/psql:15
    command: [psql, -v, ON_ERROR_STOP=1, -f, /job/check.sql]
    files: { /job/check.sql: $ROOT/examples/tasks-api/check.sql }
app:
  port: 8000
  publish: "$2"
  env:
    ENVIRONMENT: preview
    EXTERNAL_URL: $PEERS_SLOW_URL
    SENTRY_DSN: { ssm: /pr-preview/demo/sentry-dsn, optional: true }
health: [tcp, { http: /docs }, { http: /readyz }, { http: /health, json: { status: healthy } }]
report:
  parameter: $STATUS_PARAMETER
EOF
}

# demo_forget: removes what the agent made for the demo. Its objects carry its state folder as a
# label; the pulled images are known by name.
demo_forget() {
  local scope=label=preview-agent.scope=$DEMO/state objects object
  mapfile -t objects < <(docker ps -aq --filter "$scope")
  ((${#objects[@]} == 0)) || docker rm --force --volumes "${objects[@]}" >/dev/null
  mapfile -t objects < <(docker network ls -q --filter "$scope")
  ((${#objects[@]} == 0)) || docker network rm "${objects[@]}" >/dev/null
  mapfile -t objects < <(docker images -q --filter "$scope" | sort -u)
  if [[ -f $DEMO/registry ]]; then
    objects+=("$(<"$DEMO/registry")"/{acme/tasks-api:good,tools/psql:15,base/python:3})
  fi
  for object in "${objects[@]}"; do
    # What is not there, or what a container of somebody else runs, stays as it is.
    docker rmi --force "$object" >/dev/null 2>&1 || true
  done
  [[ ! -f $DEMO/build-cache ]] || remove_build_cache "$DEMO/build-cache"
  rm -rf --one-file-system "$DEMO"
}
