# shellcheck shell=bash
# What a release says about itself: its bills of materials, its licences, what it was built with.

CYCLONEDX=0.5.9

# linked_crates TARGET: "NAME VERSION" of every crate whose code is in an executable.
linked_crates() {
  "$CARGO_COMMAND" tree --locked --workspace --target "$1" --edges normal,no-proc-macro --prefix none --no-dedupe --format '{p}' \
    | awk '{ print $1, substr($2, 2) }' | LC_ALL=C sort -u
}

# write_bills: one CycloneDX document for each executable, beside it.
write_bills() {
  local arch program bin=$CACHE/cargo-cyclonedx-$CYCLONEDX
  # Its code is in no executable of ours, so it need not be fast, only here soon.
  [[ -x $bin/bin/cargo-cyclonedx ]] || quietly "installing cargo-cyclonedx" env -u CARGO_TARGET_DIR \
    "$CARGO_COMMAND" install --locked --debug --root "$bin" "cargo-cyclonedx@$CYCLONEDX"
  for arch in "${ARCHITECTURES[@]}"; do
    (
      cd "$ROOT" || exit
      SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
      export SOURCE_DATE_EPOCH
      # It writes beside each Cargo.toml and nowhere else.
      trap 'rm -f "$ROOT/bill-$arch.cdx.json" "$ROOT/preview/bill-$arch.cdx.json"' EXIT
      quietly "bills of materials for $arch" "$bin/bin/cargo-cyclonedx" cyclonedx --format json \
        --spec-version 1.5 --target "$arch-unknown-linux-musl" --no-build-deps --override-filename "bill-$arch.cdx"
      for program in "${!PROGRAMS[@]}"; do
        # It names the folder it found us in.
        sed "s|path+file://$ROOT|path+file:///preview-agent|g; s|?download_url=file://\.||g" \
          "$([[ $program == agent ]] || echo preview/)bill-$arch.cdx.json" >"$DIST/$program-$arch.cdx.json"
      done
    )
  done
  check_bills
}

# check_bills: the documents against the schema of their version.
check_bills() {
  local file
  for file in "$DIST"/*.cdx.json; do
    "$RELEASE_VENV/bin/python" - "$file" <<'PYTHON' || die "$file is no valid bill"
import json, sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

text = open(sys.argv[1], encoding="utf-8").read()
if error := JsonStrictValidator(SchemaVersion.V1_5).validate_str(text):
    sys.exit(str(error))
names = {component["name"] for component in json.loads(text)["components"]}
# What is linked, what is not, and one of each that only tests or Windows would bring.
assert {"tokio", "ring", "clap"} <= names, names
assert not {"insta", "proptest", "jsonschema", "windows-sys"} & names, names
print(f"==> {sys.argv[1]}: valid, {len(names)} components", file=sys.stderr)
PYTHON
  done
}

# write_licences: names and texts of what is linked in. Both architectures link the same crates but
# for what they name differently; the list is that of both.
write_licences() {
  local zig arch metadata=$CACHE/metadata.json
  zig=$("$RELEASE_VENV/bin/python" -c 'import ziglang, os; print(os.path.dirname(ziglang.__file__))')
  say "licences"
  (
    cd "$ROOT" || exit
    "$CARGO_COMMAND" metadata --locked --format-version 1 >"$metadata"
    for arch in "${ARCHITECTURES[@]}"; do linked_crates "$arch-unknown-linux-musl"; done | LC_ALL=C sort -u \
      | python3 packaging/licences.py "$metadata" \
        "Rust's standard library, Copyright (c) The Rust Project Contributors, MIT OR Apache-2.0=LICENSE-APACHE" \
        "musl=$zig/lib/libc/musl/COPYRIGHT" "LLVM's libunwind and compiler-rt=$zig/lib/libunwind/LICENSE.TXT"
  ) >"$DIST/LICENCES.txt"
}

# write_build_info: what it takes to make the same bytes again.
write_build_info() {
  {
    echo "commit: $(git -C "$ROOT" rev-parse HEAD)"
    "$RUSTC_COMMAND" -vV
    echo "zig: $("$RELEASE_VENV/bin/python" -m ziglang version)"
    "$RELEASE_VENV/bin/cargo-zigbuild" --version
    echo "standard library: $([[ $ROUTE == rustup ]] && echo "from rustup" || echo "built along")"
  } >"$DIST/BUILD-INFO"
}
