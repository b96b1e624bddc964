"""The results as a page: ratios first, medians with their spread, and the machine they are from."""

import math
import os
import platform
import statistics
import subprocess
from pathlib import Path

import plot

SCENARIOS = {
    "a": "all there",
    "b": "the database comes up 8 s after the start",
    "c": "image absent, built from the tarball",
    "d": "the registry fails two pulls with 503",
    "e": "rerun on a converged machine",
    "f": "redeploy of a new tag",
}
LIMIT = 0.25
# Rounds from which an aim is called held or missed: that all agree by luck is one time in 16.
ENOUGH = 5


def spread(values, unit="", digits=2):
    """The median, and between which values it lies."""
    middle = f"{statistics.median(values):.{digits}f}{unit}"
    return middle if len(values) == 1 else f"{middle} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def column(rounds, scenario, name, what="ready"):
    """One figure of one contestant in every round."""
    return [played[scenario][name][what] for played in rounds]


def verdict(holds):
    """Whether an aim was met."""
    return "held" if holds else "**missed**"


def verdict_of(rounds):
    """Whether an aim was met, from each round's answer; none where the rounds differ, or are few."""
    held = sum(rounds)
    told = f"held in {held} of {len(rounds)} round{'s' * (len(rounds) > 1)}"
    if len(rounds) < ENOUGH:
        return told
    return verdict(held) if held in (0, len(rounds)) else f"**undecided**, {told}"


def share(agent, baseline, floor):
    """The agent's part of the baseline's excess; no number of times an excess that is none."""
    return (agent - floor) / (baseline - floor) if baseline > floor else math.inf


def deployments(rounds):
    """The table of the scenarios."""
    lines = ["| | scenario | (agent − floor) / (baseline − floor) | agent / floor | agent | baseline | floor |", "|---|---|---|---|---|---|---|"]
    for scenario, title in SCENARIOS.items():
        if scenario not in rounds[0]:
            continue
        agent, baseline, floor = (column(rounds, scenario, name) for name in ("agent", "baseline", "floor"))
        times = spread([a / f for a, f in zip(agent, floor)]) if scenario != "e" else "–"
        lines.append(
            f"| {scenario} | {title} | {spread([*map(share, agent, baseline, floor)])} | {times} "
            f"| {spread(agent, ' s')} | {spread(baseline, ' s')} | {spread(floor, ' s')} |"
        )
    return lines


def without_pull(result):
    """Seconds but for the engine's pull, which is the same work for everybody and varies the most."""
    spans = result["spans"]
    pull = next((end - begin for (name, begin), (_, end) in zip(spans, spans[1:]) if name == "image"), 0)
    return result["ready"] - pull


def pulls(rounds):
    """What is left of (a) when the engine's pull is taken out."""
    rest = {name: [without_pull(played["a"][name]) for played in rounds] for name in ("agent", "baseline", "floor")}
    pull = [played["a"][name]["ready"] - without_pull(played["a"][name]) for played in rounds for name in rest]
    told = ", ".join(f"{name} {spread(rest[name], ' s')}" for name in rest)
    return (
        f"In (a) the image phase, nearly all of it the engine's pull, takes {spread(pull, ' s')}. Without it: {told}; "
        f"the excess is {spread([*map(share, *rest.values())])} of the baseline's."
    )


def networks(found):
    """What the containers' own network costs, which neither baseline nor floor has."""
    return (
        f"The agent's containers have a network of their own. Making one takes {spread(found['made'], ' s')}; a container starts on it in "
        f"{spread(found['own'], ' s')} and on the engine's default one in {spread(found['default'], ' s')} ({len(found['made'])} tries by turns)."
    )


def aims(found):
    """What was aimed at, and what came."""
    rounds, costs = found["rounds"], found["costs"]
    lines = ["| aim | measured | |", "|---|---|---|"]

    def line(aim, measured, holds):
        lines.append(f"| {aim} | {measured} | {verdict(holds)} |")

    def by_round(aim, measured, holds):
        lines.append(f"| {aim} | {measured} | {verdict_of(holds)} |")

    for scenario in (s for s in "abcd" if s in rounds[0]):
        ways = [*zip(*(column(rounds, scenario, name) for name in ("agent", "baseline", "floor")))]
        measured = spread([share(*way) for way in ways])
        by_round(f"{scenario}: (agent − floor) at most {LIMIT} of (baseline − floor)", measured, [a - f <= max(0, LIMIT * (b - f)) for a, b, f in ways])
    if "a" in rounds[0]:
        pairs = [*zip(column(rounds, "a", "agent"), column(rounds, "a", "floor"))]
        measured = f"{spread([a / (1.1 * f + 0.3) for a, f in pairs])} of what is allowed"
        by_round("a: at most 1.10 of the floor plus 0.3 s", measured, [a <= 1.1 * f + 0.3 for a, f in pairs])
        pairs = [*zip(column(rounds, "e", "agent"), column(rounds, "e", "baseline"))]
        measured = f"{statistics.median(a for a, _ in pairs):.2f} s, {statistics.median(a / b for a, b in pairs):.2f}"
        by_round("e: under 0.5 s and 0.1 of the baseline", measured, [a < 0.5 and a <= 0.1 * b for a, b in pairs])
        pairs = [*zip(column(rounds, "f", "agent", "downtime"), (played["raw"]["floor"] for played in rounds))]
        away, raw = (spread(side, " s") for side in zip(*pairs))
        measured = f"{spread([a / raw for a, raw in pairs])}: {away}, raw {raw}"
        by_round("f: downtime at most 1.2 of a raw stop and start", measured, [a <= 1.2 * raw for a, raw in pairs])
    if asking := costs.get("asking"):
        more = [asked - looked for asked, looked in zip(asking["postgresql"], asking["mysql"])]
        line("asking the database costs a first boot at most 0.05 s", spread(more, " s", 3), statistics.median(more) <= 0.05)
    line("binary at most 8.45 MB", f"{costs['bytes'] / 1e6:.2f} MB", costs["bytes"] <= 8.45e6)
    times = costs["milliseconds"]
    for name in ("version", "status"):
        middle, low, high = times[name]
        ratio = middle / times["true"][0]
        line(f"`agent {'--version' if name == 'version' else name}` within 5 ms", f"{ratio:.1f} of `/bin/true`: {middle:.2f} ms ({low:.2f} to {high:.2f})", middle <= 5)
    watching = costs["supervising"]
    peak = max(played[scenario]["agent"]["peak_kib"] for played in rounds for scenario in played if scenario != "raw")
    line("resident while it watches at most 10.5 MB", f"{watching['resident_kib'] * 1.024e-3:.1f} MB", watching["resident_kib"] * 1024 <= 10.5e6)
    line("peak in every scenario at most 25 MB", f"{peak * 1.024e-3:.1f} MB", peak * 1024 <= 25e6)
    for what, most in costs.get("large_kib", {}).items():
        line(f"the same with {what}", f"{most * 1.024e-3:.1f} MB", most * 1024 <= 25e6)
    line("at most 0.1 % of one core while it watches", f"{watching['cpu'] * 100:.3f} % over {watching['seconds']:.0f} s", watching["cpu"] <= 0.001)
    line("at most 20 wake-ups a second", f"{watching['wakeups']:.1f}", watching["wakeups"] <= 20)
    return lines


def archives(found):
    """The tarball's way beside gzip and tar."""
    lines = ["| archive | agent / by hand | agent | by hand | peak of the agent |", "|---|---|---|---|---|"]
    for name, one in found.items():
        size = f"{one['bytes'] / 1e6:.0f} MB, {one['compressed'] / 1e6:.0f} MB compressed"
        ratios = [agent / hand for agent, hand in zip(one["agent"], one["by_hand"])]
        lines.append(
            f"| {name}, {size} | {spread(ratios)} | {spread(one['agent'], ' s')} "
            f"| {spread(one['by_hand'], ' s')} | {one['peak_kib'] * 1.024e-3:.1f} MB |"
        )
    return lines


def machine():
    """What it was measured on."""
    cpu = next((line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")), platform.machine())
    memory = int(Path("/proc/meminfo").read_text().split()[1]) / 2**20
    engine = subprocess.run(["docker", "version", "-f", "{{.Server.Version}}"], capture_output=True, text=True, check=True).stdout.strip()
    driver = subprocess.run(["docker", "info", "-f", "{{.Driver}}"], capture_output=True, text=True, check=True).stdout.strip()
    return f"{os.cpu_count()} × {cpu}, {memory:.0f} GiB, Linux {os.uname().release}, Docker {engine} ({driver})"


def page(found):
    """All of it, as Markdown."""
    rounds = found["rounds"]
    answered = ", ".join(
        f"{s} {statistics.median(column(rounds, s, 'agent', 'answered')):.2f} s / {statistics.median(column(rounds, s, 'baseline', 'answered')):.2f} s"
        for s in SCENARIOS
        if s in rounds[0] and s not in "ef"
    )
    return "\n".join(
        [
            "",
            f"{len(rounds)} round{'s' * (len(rounds) > 1)} in {found['seconds'] / 60:.0f} min; median (least to most) of the seconds until each says that the application is healthy.",
            f"{machine()}. {os.environ['SIZES']}.",
            "",
            *deployments(rounds),
            "",
            *([f"Until somebody who asks every 20 ms gets the first answer, agent / baseline: {answered}.", ""] if answered else []),
            *([pulls(rounds), ""] if "a" in rounds[0] else []),
            networks(found["costs"]["network"]),
            "",
            *aims(found),
            "",
            *(archives(found["tarball"]) if "tarball" in found else []),
            "",
        ]
    )


def write(found, target):
    """The results between the page's marks, and the plot beside it; on the terminal in any case."""
    text = page(found)
    print(text)
    if target:
        before, rest = target.read_text().split("<!-- bench -->\n")
        after = rest.split("<!-- /bench -->")[1]
        target.write_text(f"{before}<!-- bench -->\n{text}\n<!-- /bench -->{after}")
        target.with_suffix(".svg").write_text(plot.timelines(found["rounds"], SCENARIOS))
