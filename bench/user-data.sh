#!/usr/bin/env bash
# The User Data script that the agent replaces, as its users' handbook describes it, for the benchmark.
#
# What the handbook says: wait for Docker's socket, log in to the registry, pull with retries, else
# build from GitHub's tarball, wait for the database through /dev/tcp, `alembic upgrade head` up to 5
# times, start the application, poll /docs. What it leaves open is what a careful person would write:
# 5 tries 5 s apart, a look each 2 s at the database and each second at /docs, BuildKit for the build,
# curl that fails on an error status, one container under a fixed name that is replaced.
#
# Left out on both sides: installing Docker. `docker run` stands in for Compose.
# Settings come from the environment, as the workflow writes them into the script.
set -uo pipefail

mark() { printf '%s %s\n' "$EPOCHREALTIME" "$1" >>"${MARKS:-/dev/null}"; }

pull() {
  local try
  for try in {1..5}; do
    docker pull -q "$IMAGE" && return
    ((try == 5)) || sleep 5
  done
  return 1
}

build() {
  local work
  work=$(mktemp -d)
  curl -fsSL -H "Authorization: Bearer $GITHUB_TOKEN" -H 'User-Agent: user-data' \
    -o "$work/source.tar.gz" "$GITHUB_API/repos/$REPOSITORY/tarball/$COMMIT" || return
  mkdir "$work/source"
  tar -xz --strip-components=1 -C "$work/source" -f "$work/source.tar.gz" || return
  DOCKER_BUILDKIT=1 "$BUILDER" build -q -t "$IMAGE" --build-arg "BASE=$BASE" "$work/source" || return
  rm -rf "$work"
}

migrate() {
  local try
  for try in {1..5}; do
    docker run --rm --env-file "$ENV_FILE" "${labels[@]}" "$IMAGE" alembic upgrade head && return
    ((try == 5)) || sleep 5
  done
  return 1
}

# As `docker compose up -d` does: what runs already is left alone.
unchanged() {
  [[ $(docker inspect -f '{{.State.Running}} {{.Image}}' "$NAME" 2>/dev/null) == "true $(docker inspect -f '{{.Id}}' "$IMAGE")" ]]
}

read -ra labels <<<"$CONTAINER_LABELS"
mark begin
until docker info >/dev/null 2>&1; do sleep 1; done
printf '%s' "$REGISTRY_PASSWORD" | docker login -u "$REGISTRY_USER" --password-stdin "$REGISTRY"
mark image
pull || build || exit 1
mark database
until (: >"/dev/tcp/$DB_HOST/$DB_PORT") 2>/dev/null; do sleep 2; done
mark migrate
migrate || exit 1
mark start
if ! unchanged; then
  docker stop "$NAME" >/dev/null 2>&1 && docker rm "$NAME"
  docker run -d --name "$NAME" --restart unless-stopped --env-file "$ENV_FILE" "${labels[@]}" \
    -p "$PORT:8000" "$IMAGE" || exit 1
fi
mark health
until curl -fsS -o /dev/null "http://127.0.0.1:$PORT/docs" 2>/dev/null; do sleep 1; done
mark ready
