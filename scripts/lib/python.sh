# shellcheck shell=bash
# The Python tools (moto, the aws client, linters) in a venv of their own.

VENV=$CACHE/venv

# install_venv: made anew only when the list of packages has changed.
install_venv() {
  local list=$ROOT/scripts/requirements.txt
  cmp -s "$list" "$VENV/requirements.txt" && return
  rm -rf "$VENV"
  python3 -m venv "$VENV" 2>/dev/null || /usr/bin/python3 -m venv "$VENV"
  quietly "installing moto, the aws client and the linters" \
    "$VENV/bin/pip" install --disable-pip-version-check -r "$list"
  cp "$list" "$VENV/requirements.txt"
}
