# shellcheck shell=bash
# The Python base image: Docker Hub's where it can be reached, else one made of Debian's packages.

HUB_PYTHON=python:3-slim
CA_BUNDLE=etc/ssl/certs/ca-certificates.crt

# hub_reachable: asked once per `peers up`, so that all images come from the same place.
hub_reachable() {
  [[ $(remember hub curl -m 5 -s -o /dev/null -w '%{http_code}' https://registry-1.docker.io/v2/ || true) == 401 ]]
}

# bootstrap_tree DIR: a small Debian with Python, its venv module and psql.
bootstrap_tree() {
  local dir=$1 suite client
  # shellcheck source=/dev/null
  suite=$(. /etc/os-release && [[ $ID == debian ]] && echo "$VERSION_CODENAME" || echo bookworm)
  debootstrap --variant=minbase \
    --include=python3,python3-venv,ca-certificates,libpq5,libreadline8 "$suite" "$dir"
  # psql alone: its package would bring all of Perl for a wrapper script.
  client=$(chroot "$dir" apt-cache depends postgresql-client | sed -n 's/.*Depends: \(postgresql-client-[0-9]*\)$/\1/p')
  chroot "$dir" sh -c "cd /tmp && apt-get download $client && dpkg-deb -x $client*.deb x && mv x/usr/lib/postgresql/*/bin/psql /usr/bin/"
  # What a container never reads. Fewer files unpack faster.
  rm -rf "$dir"/tmp/* "$dir"/var/lib/apt/lists/* "$dir"/var/cache/apt/* "$dir"/var/log/* \
    "$dir"/usr/share/{doc,man,info,locale,i18n,bash-completion,perl5} "$dir"/usr/lib/*/gconv
  find "$dir/usr/share/zoneinfo" -mindepth 1 -maxdepth 1 ! -name 'UTC' ! -name 'Etc' -exec rm -rf {} + 2>/dev/null || true
  find "$dir" -name __pycache__ -prune -exec rm -rf {} +
}

# bootstrap_tarball: the tree as a file that survives `peers down`, still without a CA bundle.
bootstrap_tarball() {
  local tarball=$CACHE/base.tar work
  work=$(mktemp -d "$CACHE/base.XXXXXX")
  bootstrap_tree "$work"
  tar -C "$work" --one-file-system --exclude="./$CA_BUNDLE" -cf "$tarball.part" .
  rm -rf --one-file-system "$work"
  mv "$tarball.part" "$tarball"
}

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
  [[ -s $CACHE/base.tar ]] ||
    quietly "bootstrapping a Debian with Python (Docker Hub does not answer here)" bootstrap_tarball
  mapfile -t options < <(pip_settings)
  cp "$CACHE/base.tar" "$tarball"
  tar -rhf "$tarball" -C / "./$CA_BUNDLE"
  quietly "importing the base image" docker import "${options[@]}" "$tarball" "$name"
  rm "$tarball"
}
