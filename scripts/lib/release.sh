# shellcheck shell=bash
# The checks of scripts/release-check.

install_release_tools() {
  install_static_tools
  install_commands file:file lintian:lintian qemu-aarch64-static:qemu-user-static jq:jq
  install_package_tools
  install_release_venv
  install_engine
}

# check_workflow: the workflow against the schema that GitHub's editors use.
check_workflow() {
  "$RELEASE_VENV/bin/check-jsonschema" --builtin-schema vendor.github-workflows "$ROOT"/.github/workflows/*.yml >&2
}

# build_in FOLDER: everything a release has, from a clone of the commit that is checked out.
build_in() {
  rm -rf "$1"
  git clone --quiet --no-hardlinks "$ROOT" "$1"
  # Downloads and tools are the same for both; what is compiled is not.
  ln -s "$CACHE" "$1/.cache"
  env -u CARGO_TARGET_DIR "$1/packaging/build-static"
  env -u CARGO_TARGET_DIR "$1/packaging/build-packages"
}

# check_reproducible: same commit, same toolchain, same bytes; leaves them in $DIST.
check_reproducible() {
  local first=$CACHE/release/a second=$CACHE/release/another-folder/b
  [[ -z $(git -C "$ROOT" status --porcelain) ]] || die "there are changes that are in no commit"
  mkdir -p "$(dirname "$second")"
  build_in "$first"
  build_in "$second"
  diff "$first/target/dist/SHA256SUMS" "$second/target/dist/SHA256SUMS" >&2 || die "the same commit gave other bytes"
  rm -rf "$DIST"
  mkdir -p "$(dirname "$DIST")"
  cp -a "$first/target/dist" "$DIST"
  rm -rf "$CACHE/release"
  say "the same $(wc -l <"$DIST/SHA256SUMS") files from two folders"
}

# check_static: nothing to load, for the right machine, and no path of this one.
check_static() {
  local arch
  for arch in "${ARCHITECTURES[@]}"; do
    must_be_static "$DIST/agent-$arch"
    file --brief "$DIST/agent-$arch" | grep -E "${arch/_/.}.*static.*stripped" >&2 || die "not a stripped $arch executable"
    if grep -aFq -e "$ROOT" -e "$(realpath "$CACHE")" -e "${CARGO_HOME:-$HOME/.cargo}" "$DIST/agent-$arch"; then die "agent-$arch names a folder of this machine"; fi
  done
}

small_config() {
  printf '%s\n' 'image: ghcr.io/acme/api:1' 'database: off' 'migrate: off'
}

# answers COMMAND...: the executable behind COMMAND says its version, accepts a configuration, and
# finds no agent at work.
answers() {
  local code=0
  [[ $("$@" --version) == "agent $(agent_version)" ]] || die "$* does not tell its version"
  "$@" check --config /config.yaml >&2 || die "$* does not accept a configuration"
  "$@" status >&2 || code=$?
  ((code == 4)) || die "$* status: exit code $code where no agent runs, not 4"
}

# check_runs: x86-64 in a container that holds nothing else, aarch64 under emulation in a root that
# holds nothing else.
check_runs() {
  local work image=preview-agent-release-check
  work=$(mktemp -d)
  # shellcheck disable=SC2064 # the folder of now
  trap "rm -rf '$work'; docker rmi '$image' >/dev/null 2>&1 || true" EXIT
  small_config >"$work/config.yaml"
  cp "$DIST/agent-x86_64" "$work/agent"
  tar -C "$work" -c . | docker import --platform linux/amd64 - "$image" >/dev/null
  answers docker run --rm --network none "$image" /agent
  cp "$DIST/agent-aarch64" "$work/agent"
  cp "$(command -v qemu-aarch64-static)" "$work/qemu"
  answers chroot "$work" /qemu /agent
  rm -rf "$work"
  docker rmi "$image" >/dev/null
  trap - EXIT
}

# check_packages: both kinds for both architectures, with what belongs in them; lintian has its say.
check_packages() {
  local deb rpm name
  for deb in "$DIST"/preview-agent_*_{amd64,arm64}.deb; do
    [[ -f $deb ]] || die "no $deb"
    must_list "$deb" "" < <(dpkg-deb --fsys-tarfile "$deb" | tar -t | sed 's|^\.||')
    lintian --fail-on error,warning --tag-display-limit 0 "$deb" >&2 || die "lintian objects to $deb"
  done
  for rpm in "$DIST"/preview-agent-*.{x86_64,aarch64}.rpm; do
    [[ -f $rpm ]] || die "no $rpm"
    must_list "$rpm" /usr < <(rpm -qlp "$rpm")
    name=${rpm%.rpm}
    [[ $(rpm -qp --queryformat '%{ARCH}' "$rpm") == "${name##*.}" ]] || die "$rpm is for another architecture"
  done
}

# must_list PACKAGE PREFIX: its files, one a line on standard input, below PREFIX the unit's folder.
must_list() {
  local files path
  files=$(cat)
  for path in /usr/bin/agent "$2/lib/systemd/system/preview-agent.service" \
    /usr/share/doc/preview-agent/config.example.yaml /usr/share/bash-completion/completions/agent \
    /usr/share/fish/vendor_completions.d/agent.fish /usr/share/man/man8/agent.8.gz; do
    grep -Fxq "$path" <<<"$files" || die "$1 has no $path"
  done
  say "$1: $(stat -c %s "$1") bytes"
}

# check_engines: the boot of instances with bookworm's and trixie's engine, and the Docker adapter's
# tests on those of bookworm, trixie and sid. What runs in the instances is what target/dist holds.
check_engines() {
  local were_up=no runner=(test)
  if [[ -f $PEERS/env ]]; then were_up=yes; fi
  if cargo nextest --version >/dev/null 2>&1; then runner=(nextest run); fi
  "$ROOT/scripts/peers" up
  "$ROOT/scripts/machines" up bare bookworm trixie sid
  (cd "$ROOT" && cargo "${runner[@]}" --locked --test instance) || die "an instance does not boot as it should"
  engine_matrix bookworm trixie sid || die "the Docker adapter fails on one of the engines"
  [[ $were_up == yes ]] || "$ROOT/scripts/peers" down
}
