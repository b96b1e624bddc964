"""The timelines as a picture: a bar each, what it was spent on in colours."""

import statistics

COLOURS = {
    "resolve": "#9467bd", "image": "#1f77b4", "database": "#ff7f0e", "migrate": "#2ca02c",
    "start": "#d62728", "health": "#8c564b",
}  # fmt: skip
OTHER = "#c7c7c7"
WIDTH, LEFT, ROW, GAP, TICK = 900, 150, 18, 30, 5


def median_round(rounds, scenario, name):
    """The round whose time is the median, or next to it."""
    played = sorted((one[scenario][name] for one in rounds), key=lambda result: result["ready"])
    return played[(len(played) - 1) // 2]


def segments(spans):
    """Name, begin and end of each part that can be seen; what has no name of its own is between the others.
    Of two at the same time the shorter one is drawn over the longer."""
    parts = [(name, begin, end) for (name, begin), (_, end) in zip(spans, spans[1:]) if end - begin > 0.005]
    return sorted(parts, key=lambda part: part[1] - part[2])


def timelines(rounds, titles):
    """An SVG of every scenario's median rounds."""
    shown = [s for s in titles if s in rounds[0]]
    longest = max(median_round(rounds, s, name)["ready"] for s in shown for name in rounds[0][s])
    scale = (WIDTH - LEFT - 70) / longest
    parts, y = [], 40
    for index, (name, colour) in enumerate([*COLOURS.items(), ("other", OTHER)]):
        x = 10 + index * 105
        parts.append(f'<rect x="{x}" y="10" width="12" height="12" fill="{colour}"/><text x="{x + 17}" y="20">{name}</text>')
    for scenario in shown:
        parts.append(f'<text x="10" y="{y + 12}" font-weight="bold">{scenario}: {titles[scenario]}</text>')
        y += ROW
        for name in ("floor", "agent", "baseline"):
            result = median_round(rounds, scenario, name)
            parts.append(f'<text x="20" y="{y + 12}">{name}</text>')
            for what, begin, end in segments(result["spans"]):
                left, width = LEFT + begin * scale, (end - begin) * scale
                parts.append(f'<rect x="{left:.1f}" y="{y}" width="{width:.1f}" height="{ROW - 4}" fill="{COLOURS.get(what, OTHER)}"/>')
            middle = statistics.median(one[scenario][name]["ready"] for one in rounds)
            parts.append(f'<text x="{LEFT + result["ready"] * scale + 5:.1f}" y="{y + 12}">{middle:.2f} s</text>')
            y += ROW
        y += GAP - ROW
    ruler = []
    for second in range(0, int(longest) + 1, TICK):
        x = LEFT + second * scale
        ruler.append(f'<path d="M{x:.1f} 30V{y - 14}" stroke="#e5e5e5"/><text x="{x:.1f}" y="{y}" text-anchor="middle">{second} s</text>')
    y += 10
    style = 'font-family="sans-serif" font-size="12"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y}" {style}>\n<rect width="100%" height="100%" fill="white"/>\n' + "\n".join(ruler + parts) + "\n</svg>\n"
