# shellcheck shell=bash
# deb and rpm, with the same tree inside but for the places where the distributions differ.

install_package_tools() {
  install_commands dpkg-deb:dpkg rpmbuild:rpm dh:debhelper dpkg-buildpackage:dpkg-dev
}

agent_version() { sed -n 's/^version = "\(.*\)"$/\1/p' "$ROOT/Cargo.toml" | head -n 1; }

# stage_tree ARCHITECTURE TREE: what both packages hold at the same place.
stage_tree() {
  local arch=$1 tree=$2 doc=$2/usr/share/doc/preview-agent
  # Completions and the man page do not depend on the architecture, but only our own runs here.
  local agent
  agent=$DIST/agent-$(uname -m)
  [[ -x $agent ]] || die "no $agent; run packaging/build-static $(uname -m) first"
  install -d "$tree/etc/preview-agent" "$doc" \
    "$tree"/usr/share/{bash-completion/completions,fish/vendor_completions.d,man/man8}
  install -D -m 755 "$DIST/agent-$arch" "$tree/usr/bin/agent"
  "$agent" completions bash >"$tree/usr/share/bash-completion/completions/agent"
  "$agent" completions fish >"$tree/usr/share/fish/vendor_completions.d/agent.fish"
  { "$agent" man || echo TEMPORARY; } | gzip -9n >"$tree/usr/share/man/man8/agent.8.gz"
  install -m 644 "$ROOT/packaging/config.example.yaml" "$doc/config.example.yaml"
}

# set_times FOLDER: both tools bring times after the commit back to it, but keep those before it.
set_times() { find "$1" -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +; }

# build_package KIND ARCHITECTURE VERSION FOLDER: a deb or an rpm.
build_package() {
  local kind=$1 arch=$2 version=$3 out=$4 work
  work=$(mktemp -d)
  # shellcheck disable=SC2064 # the folder of now
  trap "rm -rf '$work'" EXIT
  SOURCE_DATE_EPOCH=$(git -C "$ROOT" log -1 --format=%ct)
  export SOURCE_DATE_EPOCH TZ=UTC
  # Modes come from here, not from the umask of whoever builds.
  umask 022
  # A tilde sorts before everything, so that 1.0.0-rc.1 is older than 1.0.0.
  "build_$kind" "$arch" "${version/-/\~}" "$out" "$work"
}

build_deb() {
  local arch=$1 version=$2 out=$3 work=$4 name
  declare -A names=([x86_64]=amd64 [aarch64]=arm64)
  name=${names[$arch]}
  mkdir -p "$work/deb/source/tree"
  cp -a "$ROOT/packaging/deb" "$work/deb/source/debian"
  mv "$work/deb/source/debian/lintian-overrides" "$work/deb/source/debian/preview-agent.lintian-overrides"
  cp "$ROOT/systemd/preview-agent.service" "$work/deb/source/debian/preview-agent.service"
  stage_tree "$arch" "$work/deb/source/tree"
  cp "$DIST/LICENCES.txt" "$work/deb/source/tree/usr/share/doc/preview-agent/"
  install -d "$work/deb/source/tree/usr/share/zsh/vendor-completions"
  "$DIST/agent-$(uname -m)" completions zsh >"$work/deb/source/tree/usr/share/zsh/vendor-completions/_agent"
  cat >"$work/deb/source/debian/changelog" <<EOF
preview-agent ($version) stable; urgency=medium

  * See CHANGELOG.md of the project.

 -- The preview-agent maintainers <preview-agent@example.invalid>  $(date -R -u -d "@$SOURCE_DATE_EPOCH")
EOF
  set_times "$work/deb/source"
  (
    cd "$work/deb/source" || exit
    # -d: nothing is compiled, so no compiler for the other architecture is needed.
    quietly "preview-agent_${version}_$name.deb" dpkg-buildpackage --build=binary --host-arch "$name" -d --no-sign
  )
  mv "$work/deb/preview-agent_${version}_$name.deb" "$out/"
}

build_rpm() {
  local arch=$1 version=$2 out=$3 work=$4 tree=$4/rpm/tree
  stage_tree "$arch" "$tree"
  install -D -m 644 "$ROOT/systemd/preview-agent.service" "$tree/usr/lib/systemd/system/preview-agent.service"
  install -d "$tree"/usr/share/{licenses/preview-agent,zsh/site-functions}
  install -m 644 "$ROOT"/LICENSE-{APACHE,MIT} "$DIST/LICENCES.txt" "$tree/usr/share/licenses/preview-agent/"
  "$DIST/agent-$(uname -m)" completions zsh >"$tree/usr/share/zsh/site-functions/_agent"
  set_times "$tree"
  quietly "preview-agent-$version-1.$arch.rpm" rpmbuild -bb --target "$arch-linux" \
    --define "_topdir $work/rpm/build" --define "agent_version $version" --define "agent_tree $tree" \
    "$ROOT/packaging/rpm/preview-agent.spec"
  mv "$work/rpm/build/RPMS/$arch/preview-agent-$version-1.$arch.rpm" "$out/"
}
