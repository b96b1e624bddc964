# shellcheck shell=bash
# Python tools, each list of them in a venv of its own.

VENV=$CACHE/venv
# What builds and checks a release: large, and of no use to the tests.
RELEASE_VENV=$CACHE/release-venv

# make_venv DIR LIST WHAT: made anew only when the list of packages has changed, or its folder was moved.
make_venv() {
  local dir list=$2 what=$3 made_from
  # Work trees may share a cache by a link.
  dir=$(realpath --canonicalize-missing "$1")
  made_from="$dir $(<"$list")"
  [[ -f $dir/made-from && $(<"$dir/made-from") == "$made_from" ]] && return
  rm -rf "$dir"
  python3 -m venv "$dir" 2>/dev/null || /usr/bin/python3 -m venv "$dir"
  quietly "installing $what" "$dir/bin/pip" install --disable-pip-version-check -r "$list"
  echo "$made_from" >"$dir/made-from"
}

install_venv() { make_venv "$VENV" "$ROOT/scripts/requirements.txt" "moto, the aws client and the linters"; }

install_release_venv() {
  make_venv "$RELEASE_VENV" "$ROOT/packaging/requirements.txt" "zig, cargo-zigbuild and the checkers of a release"
}
