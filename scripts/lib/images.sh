# shellcheck shell=bash
# The test images: built, pushed to the private registry, and gone from the engine again.

HUB_PSQL=postgres:16-alpine
IMAGES=(base/python:3 tools/psql:15 acme/tasks-api:good acme/tasks-api:v2 acme/tasks-api:never-healthy acme/tasks-api:exits)

# inputs_hash: what the images are made from.
inputs_hash() {
  (
    cd "$ROOT" || return
    find examples/tasks-api scripts/lib/{images,base-image,bootstrap}.sh -type f ! -path '*/__pycache__/*' -print0 |
      sort -z | xargs -0 sha256sum
    hub_reachable && echo hub
    sha256sum "/$CA_BUNDLE"
  ) | sha256sum | cut -d' ' -f1
}

images_current() {
  local image
  [[ -f $PEERS/images.hash && $(<"$PEERS/images.hash") == "$(inputs_hash)" ]] || return 1
  for image in "${IMAGES[@]}"; do registry_has "$image" || return 1; done
}

# build NAME [DOCKER BUILD ARGUMENTS...]: with BuildKit, which the cache mount needs.
build() {
  local name=$1
  shift
  DOCKER_BUILDKIT=1 "$(builder)" build --progress=plain -t "$name" "$@"
}

# variant NAME BASE: an image that differs from the sample by the Dockerfile lines on stdin.
variant() {
  { echo "FROM $2" && cat; } | DOCKER_BUILDKIT=1 "$(builder)" build --progress=plain -t "$1" -
}

variants() {
  local name=$1/acme/tasks-api
  variant "$name:v2" "$name:good" <<<'ENV VERSION=2.0.0'
  # Serves its folder on the right port: /health and /readyz are 404 for ever.
  variant "$name:never-healthy" "$name:good" <<<'CMD ["python3", "-m", "http.server", "8000"]'
  variant "$name:exits" "$name:good" <<'EOF'
CMD ["python3", "-c", "import sys; sys.stderr.write('Traceback (most recent call last):\\n  File \"app/main.py\", line 7, in <module>\\nModuleNotFoundError: No module named \\'app.settings\\'\\n'); sys.exit(3)"]
EOF
}

make_psql_image() {
  if hub_reachable; then
    quietly "pulling $HUB_PSQL" docker pull "$HUB_PSQL"
    docker tag "$HUB_PSQL" "$1/tools/psql:15"
  else
    docker tag "$1/base/python:3" "$1/tools/psql:15"
  fi
}

images_up() {
  images_current && return
  local host image
  host=$(registry_host)
  # The list of an interrupted run still stands: what that run left is ours, too.
  [[ -f $PEERS/build-cache.before ]] || build_cache >"$PEERS/build-cache.before"
  make_base_image "$host/base/python:3"
  make_psql_image "$host"
  quietly "building the sample app" build "$host/acme/tasks-api:good" \
    --build-arg "BASE=$host/base/python:3" "$ROOT/examples/tasks-api"
  quietly "building its variants" variants "$host"
  for image in "${IMAGES[@]}"; do
    quietly "pushing $image" registry_docker push "$host/$image"
  done
  # Whoever uses them has to pull them: neither tags nor layers of ours stay behind in the engine.
  quietly "removing the local copies" images_forget "$host"
  rm "$PEERS/build-cache.before"
  inputs_hash >"$PEERS/images.hash"
}

# images_forget HOST: keeps only the cache mount of pip, which makes the next build quick.
images_forget() {
  local image
  for image in "${IMAGES[@]/#/$1/}"; do
    docker image inspect "$image" >/dev/null 2>&1 || continue
    docker rmi --force "$image"
  done
  note_build_cache "$PEERS/build-cache.before" "$PEERS/build-cache"
  remove_build_cache "$PEERS/build-cache" regular
  if hub_reachable; then docker rmi "$HUB_PYTHON" "$HUB_PSQL"; fi
}

# pulled_images_forget: what tests and demo made the engine pull from the registry of this checkout.
pulled_images_forget() {
  local host images
  host=$(registry_host)
  mapfile -t images < <(docker images --format '{{.Repository}} {{.ID}}' | awk -v host="$host/" 'index($1, host) == 1 { print $2 }' | sort -u)
  ((${#images[@]} == 0)) || docker rmi --force "${images[@]}" >/dev/null 2>&1 || say "some pulled images are in use and stay"
}
