# shellcheck shell=bash
# The Python base image: Docker Hub's where it can be reached, else one made of Debian's packages.

HUB_PYTHON=python:3-slim

# hub_reachable: asked once until `peers down`, so that all images come from the same place.
hub_reachable() { [[ $(remember hub probe_hub) == yes ]]; }
probe_hub() { if timeout 10 docker manifest inspect "$HUB_PYTHON" >/dev/null 2>&1; then echo yes; else echo no; fi; }

# pip_settings: how pip reaches its index from this machine, as --change options of docker import.
# The machine's own CA bundle goes along, since it may trust a proxy that a plain Debian does not.
pip_settings() {
  printf -- '--change\nENV PIP_CERT=%s PIP_DEFAULT_TIMEOUT=180 PIP_DISABLE_PIP_VERSION_CHECK=1\n' "/$CA_BUNDLE"
  local name value
  for name in PIP_INDEX_URL PIP_EXTRA_INDEX_URL PIP_TRUSTED_HOST; do
    value=${!name:-}
    [[ -z $value ]] || printf -- '--change\nENV %s=%s\n' "$name" "$value"
  done
}

# make_base_image NAME: leaves the base image under NAME in the engine.
make_base_image() {
  local name=$1 options tarball=$CACHE/base-with-ca.tar
  if hub_reachable; then
    quietly "pulling $HUB_PYTHON" docker pull "$HUB_PYTHON"
    docker tag "$HUB_PYTHON" "$name"
    return
  fi
  [[ -s $BASE_TARBALL ]] ||
    quietly "bootstrapping a Debian with Python (Docker Hub does not answer here)" bootstrap_tarball
  mapfile -t options < <(pip_settings)
  cp "$BASE_TARBALL" "$tarball"
  tar -rhf "$tarball" -C / "./$CA_BUNDLE"
  quietly "importing the base image" docker import "${options[@]}" "$tarball" "$name"
  rm "$tarball"
}
