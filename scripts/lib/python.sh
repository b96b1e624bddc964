# shellcheck shell=bash
# The Python tools (moto, the aws client, linters) in a venv of their own.

VENV=$CACHE/venv

# install_venv: made anew only when the list of packages has changed, or its folder was moved.
install_venv() {
  local list=$ROOT/scripts/requirements.txt made_from
  made_from="$VENV $(<"$list")"
  [[ -f $VENV/made-from && $(<"$VENV/made-from") == "$made_from" ]] && return
  rm -rf "$VENV"
  python3 -m venv "$VENV" 2>/dev/null || /usr/bin/python3 -m venv "$VENV"
  quietly "installing moto, the aws client and the linters" \
    "$VENV/bin/pip" install --disable-pip-version-check -r "$list"
  echo "$made_from" >"$VENV/made-from"
}
