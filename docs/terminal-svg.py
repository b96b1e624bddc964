#!/usr/bin/env python3
"""Draws what a terminal shows as an SVG picture, for the README.

    script -qc 'agent status' /dev/null | docs/terminal-svg.py 'agent status' >docs/ready.svg

The argument is the command, shown behind a prompt. Only the colours that
`agent status` uses are known: red, green, yellow and dim.
"""

import html
import re
import sys

CELL, LINE, SIZE, PAD = 8.43, 19, 14, 16  # pixels
COLUMNS = 80
COLOURS = {"31": "#ff7b72", "32": "#56d364", "33": "#e3b341", "2": "#8b949e", "0": "#d6dde5"}


def pieces(line):
    """The line's words in one colour, each with its column."""
    column, colour = 0, "0"
    for sequence, text in re.findall(r"\x1b\[(\d+)m|([^\x1b]+)", line):
        if sequence:
            colour = sequence
            continue
        for word in re.finditer(r"\S+(?: \S+)*", text):
            yield column + word.start(), COLOURS[colour], word[0]
        column += len(text)


def draw(command, lines):
    lines = [f"$ {command}", *lines]
    width, height = round(COLUMNS * CELL + 2 * PAD), len(lines) * LINE + 2 * PAD
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}" role="img" aria-label="{html.escape(command)} in a terminal">'
    )
    yield f'<rect width="{width}" height="{height}" rx="8" fill="#0d1117"/>'
    yield f'<g font-family="monospace" font-size="{SIZE}">'
    for number, line in enumerate(lines):
        for column, colour, text in pieces(line):
            # The length holds the columns in whatever font the reader has.
            yield (
                f'<text x="{PAD + column * CELL:.1f}" y="{PAD + number * LINE + SIZE}" fill="{colour}" '
                f'textLength="{len(text) * CELL:.1f}">{html.escape(text)}</text>'
            )
    yield "</g></svg>"


print("\n".join(draw(sys.argv[1], sys.stdin.read().replace("\r", "").rstrip().split("\n"))))
