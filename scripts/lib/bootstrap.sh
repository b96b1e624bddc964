# shellcheck shell=bash
# A base image without Docker Hub: a small Debian with Python, from Debian's own packages.

CA_BUNDLE=etc/ssl/certs/ca-certificates.crt
# Made anew when this file changes.
BASE_TARBALL=$CACHE/base-$(cksum <"${BASH_SOURCE[0]}" | cut -d' ' -f1).tar

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
    "$dir"/usr/share/{doc,man,info,locale,i18n,bash-completion} "$dir"/usr/lib/*/gconv
  find "$dir/usr/share/zoneinfo" -mindepth 1 -maxdepth 1 ! -name 'UTC' ! -name 'Etc' -exec rm -rf {} + 2>/dev/null || true
}

# bootstrap_tarball: the tree as a file that survives `peers down`, still without a CA bundle.
bootstrap_tarball() {
  local work
  work=$(mktemp -d "$CACHE/base.XXXXXX")
  bootstrap_tree "$work"
  tar -C "$work" --one-file-system --exclude="./$CA_BUNDLE" -cf "$BASE_TARBALL.part" .
  rm -rf --one-file-system "$work"
  mv "$BASE_TARBALL.part" "$BASE_TARBALL"
}
