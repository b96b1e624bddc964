"""The results as a page: ratios first, medians with their spread, and the machine they are from."""

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


def spread(values, unit="", digits=2):
    """The median, and between which values it lies."""
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"{middle:.{digits}f}{unit} ({low:.{digits}f} to {high:.{digits}f})"


def column(rounds, scenario, name, what="ready"):
    """One figure of one contestant in every round."""
    return [played[scenario][name][what] for played in rounds]


def verdict(holds):
    """Whether an aim was met."""
    return "held" if holds else "**missed**"


def deployments(rounds):
    """The table of the scenarios."""
    lines = ["| | scenario | (agent − floor) / (baseline − floor) | agent / floor | agent | baseline | floor |", "|---|---|---|---|---|---|---|"]
    for scenario, title in SCENARIOS.items():
        if scenario not in rounds[0]:
            continue
        agent, baseline, floor = (column(rounds, scenario, name) for name in ("agent", "baseline", "floor"))
        excess = [(a - f) / (b - f) for a, b, f in zip(agent, baseline, floor)]
        lines.append(
            f"| {scenario} | {title} | {spread(excess)} | {spread([a / f for a, f in zip(agent, floor)])} "
            f"| {spread(agent, ' s')} | {spread(baseline, ' s')} | {spread(floor, ' s')} |"
        )
    return lines


def without_pull(result):
    """Seconds but for the engine's pull, which is the same work for everybody and varies the most."""
    spans = result["spans"]
    pull = next((end - begin for (name, begin), (_, end) in zip(spans, spans[1:]) if name == "image"), 0)
    return result["ready"] - pull


def pulls(rounds):
    """What is left of (a) when the engine's pull is taken out, and what of that is the network."""
    rest = {name: [without_pull(played["a"][name]) for played in rounds] for name in ("agent", "baseline", "floor", "networked")}
    pull = [played["a"][name]["ready"] - without_pull(played["a"][name]) for played in rounds for name in rest]
    excess = [(a - f) / (b - f) for a, b, f, _ in zip(*rest.values())]
    told = ", ".join(f"{name} {spread(rest[name], ' s')}" for name in ("agent", "baseline", "floor"))
    return (
        f"In (a) the image phase, nearly all of it the engine's pull, takes {spread(pull, ' s')}. Without it: {told}; the excess is {spread(excess)} "
        f"of the baseline's. The floor with its containers on a network of their own, as the agent's are: {spread(rest['networked'], ' s')}."
    )


def aims(found):
    """What was aimed at, and what came."""
    rounds, costs = found["rounds"], found["costs"]
    lines = ["| aim | measured | |", "|---|---|---|"]

    def line(aim, measured, holds):
        lines.append(f"| {aim} | {measured} | {verdict(holds)} |")

    def median(scenario, name, what="ready"):
        return statistics.median(column(rounds, scenario, name, what))

    for scenario in (s for s in "abcd" if s in rounds[0]):
        agent, baseline, floor = (median(scenario, name) for name in ("agent", "baseline", "floor"))
        excess = (agent - floor) / (baseline - floor)
        line(f"{scenario}: (agent − floor) at most {LIMIT} of (baseline − floor)", f"{excess:.2f}", agent - floor <= LIMIT * (baseline - floor))
    if "a" in rounds[0]:
        agent, floor = median("a", "agent"), median("a", "floor")
        line("a: at most 1.10 of the floor plus 0.3 s", f"{agent:.2f} s of {1.1 * floor + 0.3:.2f} s", agent <= 1.1 * floor + 0.3)
        agent, baseline = median("e", "agent"), median("e", "baseline")
        line("e: under 0.5 s and 0.1 of the baseline", f"{agent:.2f} s, {agent / baseline:.2f}", agent < 0.5 and agent <= 0.1 * baseline)
        away, raw = median("f", "agent", "downtime"), statistics.median([played["raw"]["floor"] for played in rounds])
        line("f: downtime at most 1.2 of a raw stop and start", f"{away / raw:.2f} ({away:.2f} s, {raw:.2f} s)", away <= 1.2 * raw)
    line("binary at most 8 MB", f"{costs['bytes'] / 1e6:.2f} MB", costs["bytes"] <= 8e6)
    times = costs["milliseconds"]
    for name in ("version", "status"):
        middle, low, high = times[name]
        ratio = middle / times["true"][0]
        line(f"`agent {'--version' if name == 'version' else name}` within 5 ms", f"{ratio:.1f} of `/bin/true`: {middle:.2f} ms ({low:.2f} to {high:.2f})", middle <= 5)
    watching = costs["supervising"]
    peak = max(played[scenario]["agent"]["peak_kib"] for played in rounds for scenario in played if scenario != "raw")
    line("resident while it watches at most 10 MB", f"{watching['resident_kib'] * 1.024e-3:.1f} MB", watching["resident_kib"] * 1024 <= 10e6)
    line("peak in every scenario at most 25 MB", f"{peak * 1.024e-3:.1f} MB", peak * 1024 <= 25e6)
    for what, most in costs["large_kib"].items():
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
            f"{len(rounds)} rounds in {found['seconds'] / 60:.0f} min; median (least to most) of the seconds until each says that the application is healthy.",
            f"{machine()}. {os.environ['SIZES']}.",
            "",
            *deployments(rounds),
            "",
            f"Until somebody who asks every 20 ms gets the first answer, agent / baseline: {answered}.",
            "",
            *([pulls(rounds), ""] if "a" in rounds[0] else []),
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
