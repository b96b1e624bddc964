# shellcheck shell=bash
# Static executables, the same bytes from the same commit and toolchain, wherever they are built.

DIST=${CARGO_TARGET_DIR:-$ROOT/target}/dist
# shellcheck disable=SC2034 # for the scripts that include this
ARCHITECTURES=(x86_64 aarch64)
# What a release has of each architecture, and the package of each.
declare -A PROGRAMS=([agent]=preview-agent [preview]=preview)

install_static_tools() { install_commands curl:curl readelf:binutils; }

# install_debian_rust: Debian's compiler with the source of its standard library. It has no musl
# target ready-made, so the build makes that library as well.
install_debian_rust() {
  local need=() package
  for package in rustc-web cargo-web rust-web-src; do
    has_package "$package" || need+=("$package")
  done
  ((${#need[@]} == 0)) || apt_install "${need[@]}"
}

# choose_route TARGET: how this machine gets at a standard library for the target. STATIC_ROUTE=debian
# takes the second way although the first is there.
choose_route() {
  local target=$1
  ROUTE=debian
  if [[ ${STATIC_ROUTE:-rustup} == rustup ]] && command -v rustup >/dev/null \
    && timeout 300 rustup target add "$target" >"$CACHE/rustup-target.log" 2>&1; then
    ROUTE=rustup
    RUSTC_COMMAND=$(rustup which rustc) CARGO_COMMAND=$(rustup which cargo)
    say "$target: rustup has the target"
    return
  fi
  command -v apt-get >/dev/null || die "rustup can add no $target (see $CACHE/rustup-target.log), and this is no Debian"
  say "$target: rustup cannot add it; Debian's compiler builds the standard library along"
  install_debian_rust
  RUSTC_COMMAND=/usr/bin/rustc CARGO_COMMAND=/usr/bin/cargo
}

# remapped_flags TARGET_DIR: flags for the compiler, separated as cargo wants them, so that no path of
# this machine reaches the executable. Of several prefixes that fit, the last one counts.
remapped_flags() {
  local flags=(--remap-path-prefix="$ROOT=/preview-agent" --remap-path-prefix="$1=/target")
  local registry
  for registry in "${CARGO_HOME:-$HOME/.cargo}"/registry/src/*/; do
    flags+=(--remap-path-prefix="${registry%/}=/registry")
  done
  # Of the standard library's own source only what build-std compiles; where that is a link, both ends.
  local source commit
  source=$("$RUSTC_COMMAND" --print sysroot)/lib/rustlib/src/rust
  commit=$("$RUSTC_COMMAND" -vV | sed -n 's/^commit-hash: //p')
  if [[ -e $source ]]; then
    flags+=(--remap-path-prefix="$source=/rustc/$commit")
    flags+=(--remap-path-prefix="$(readlink -f "$source")=/rustc/$commit")
  fi
  # A panic aborts: nothing unwinds, and without symbols a backtrace would only be numbers.
  flags+=(-C "link-arg=-Wl,-T,$ROOT/packaging/no-unwind.ld")
  # zig brings musl's start files and its own C library.
  flags+=(-C link-self-contained=no)
  local IFS=$'\x1f'
  printf '%s' "${flags[*]}"
}

# build_static PROGRAM ARCHITECTURE: one executable, into $DIST.
build_static() {
  local program=$1 arch=$2 target=$2-unknown-linux-musl folder extra=()
  choose_route "$target"
  folder=${CARGO_TARGET_DIR:-$ROOT/target}/static-$ROUTE
  (
    cd "$ROOT" || exit
    export PATH=$RELEASE_VENV/bin:$PATH
    export RUSTC=$RUSTC_COMMAND CARGO=$CARGO_COMMAND CARGO_TARGET_DIR=$folder CARGO_INCREMENTAL=0
    unset RUSTFLAGS CARGO_BUILD_TARGET
    if [[ $ROUTE == debian ]]; then
      # The profile aborts on a panic, so nothing unwinds. Only a nightly would have the option.
      extra=("-Zbuild-std=std,panic_abort")
      export RUSTC_BOOTSTRAP=1
    fi
    quietly "fetching the dependencies" "$CARGO_COMMAND" fetch --locked
    CARGO_ENCODED_RUSTFLAGS=$(remapped_flags "$folder")
    SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
    export CARGO_ENCODED_RUSTFLAGS SOURCE_DATE_EPOCH
    quietly "building $program-$arch" cargo-zigbuild zigbuild --release --locked \
      --package "${PROGRAMS[$program]}" --bin "$program" --target "$target" "${extra[@]}"
  )
  mkdir -p "$DIST"
  install -m 755 "$folder/$target/release/$program" "$DIST/$program-$arch"
  must_be_static "$DIST/$program-$arch"
}

# must_be_static FILE: no interpreter and no shared library, so that it runs where nothing else is.
must_be_static() {
  local headers
  headers=$(LC_ALL=C readelf --wide --program-headers --dynamic "$1")
  if grep -Eq 'INTERP|\(NEEDED\)' <<<"$headers"; then
    grep -E 'INTERP|\(NEEDED\)' <<<"$headers" >&2
    die "$1 is not static"
  fi
  say "$1: static, $(stat -c %s "$1") bytes"
}

# write_checksums: over everything that lies in $DIST.
write_checksums() {
  (
    cd "$DIST" || exit
    rm -f SHA256SUMS
    sha256sum -- * >../SHA256SUMS.part
    mv ../SHA256SUMS.part SHA256SUMS
  )
}
