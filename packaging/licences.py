"""The licences of everything that is linked into the executable, with their texts.

Reads the names of the linked crates ("NAME VERSION" a line) on standard input and `cargo metadata`
from the file named first; every further argument is TITLE=FILE, a text for what is no crate. A text
that several share is written once.
"""

import json
import sys
from pathlib import Path

NAMES = ("licen", "copying", "notice", "unlicense", "copyright")


def texts(folder: Path) -> list[str]:
    files = [path for path in sorted(folder.iterdir()) if path.name.lower().startswith(NAMES)]
    # A folder LICENSES/ holds one file for each.
    files += [inner for path in files if path.is_dir() for inner in sorted(path.iterdir())]
    return ["\n".join(path.read_text(errors="replace").split("\r\n")).strip() for path in files if path.is_file()]


def main() -> None:
    packages = json.loads(Path(sys.argv[1]).read_text())["packages"]
    linked = {tuple(line.split()) for line in sys.stdin if line.strip()}
    by_text: dict[str, list[str]] = {}
    print("# What is linked into `agent`, and under which licence\n")
    found = set()
    for package in sorted(packages, key=lambda package: (package["name"], package["version"])):
        key = package["name"], package["version"]
        if key not in linked:
            continue
        found.add(key)
        title = " ".join(key)
        print(f"{title}: {package['license'] or 'see its text'}")
        for text in texts(Path(package["manifest_path"]).parent):
            by_text.setdefault(text, []).append(title)
    if missing := linked - found:
        sys.exit(f"not in the metadata: {sorted(missing)}")
    for argument in sys.argv[2:]:
        title, file = argument.split("=", 1)
        print(f"{title}: see its text")
        by_text.setdefault(Path(file).read_text(errors="replace").strip(), []).append(title)
    for text, titles in by_text.items():
        print(f"\n{'-' * 78}\n{', '.join(titles)}\n\n{text}")


main()
