"""Runs agent, baseline and floor in turn through every scenario, and writes down what they took.

Started by scripts/bench, which sets the world up.
"""

import argparse
import itertools
import json
import os
import socket
import sys
import time
from pathlib import Path

import cost
import engine
import report
import tarball
from contestants import CONTESTANTS, raw_restart
from world import LABEL, Trouble, World, cache, clean, peer, psql, run

# Each chain is one world: what comes second finds what the first one left.
CHAINS = [["a", "e", "f"], ["b"], ["c"], ["d"]]
LATE = 8


def free_port():
    """Some port that nobody listens on."""
    with socket.socket() as found:
        found.bind(("", 0))
        return found.getsockname()[1]


def say(text):
    """One line about what happens now."""
    print(f"==> {text}", file=sys.stderr, flush=True)


def new_world(scenario, folder, ports):
    """The world that a chain begins with, and what is wrong with it. The ports stay the same, so that what
    one contestant has pulled is known by name when the next one must not find it."""
    app, database, registry = ports
    world = World(folder, app, peer("REGISTRY"), int(peer("POSTGRES_PORT")), f"127.0.0.1:{registry}")
    if scenario == "b":
        world.db_port = database
        host = peer("POSTGRES_HOST")
        return world, lambda: Trouble("late", LATE, f"{host}:{world.db_port}", f"{host}:{peer('POSTGRES_PORT')}")
    if scenario == "c":
        world.tag = peer("SOURCE_COMMIT")
    if scenario == "d":
        world.registry = world.stand_in
        return world, lambda: Trouble("refuse", 2, world.registry, peer("REGISTRY"))
    return world, None


def scenarios(text):
    """Letters of scenarios, at least one."""
    if not text or set(text) - set("abcdef"):
        raise argparse.ArgumentTypeError(f"{text!r} is not some of the letters a to f")
    return text


def positive(text):
    """A number from 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1")
    return int(text)


def play(chain, name, world, trouble):
    """One contestant through one chain; its results by scenario."""
    clean(world)
    results = {}
    running = trouble() if trouble else None
    try:
        for scenario in chain:
            if scenario == "f":
                world.tag = "v2"
            results[scenario] = CONTESTANTS[name](world)
            if name == "floor" and scenario == "f":
                results["raw"] = raw_restart(world, engine.containers(LABEL)[0])
    finally:
        if running:
            running.end()
    for scenario, result in results.items():
        if scenario != "raw":
            say(f"  {scenario} {name}: ready after {result.ready:.2f} s")
    return results


def nobody_else():
    """Images that a container uses cannot be taken away, and are no pull."""
    used = run("docker", "ps", "-a", "--format", "{{.Image}} {{.Names}}").splitlines()
    if others := [line for line in used if line.startswith(peer("REGISTRY") + "/")]:
        sys.exit(f"error: containers of the same images are in the way (scripts/demo down?): {others}")


def main():
    """All rounds, then the costs, then the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=positive, default=5)
    parser.add_argument("--only", type=scenarios, default="abcdef", help="scenarios, by letter")
    parser.add_argument("--idle", type=positive, default=60, help="seconds over which an idle agent is watched")
    parser.add_argument("--page", type=Path, help="the page that takes the results")
    options = parser.parse_args()
    bench, began = Path(os.environ["BENCH"]), time.time()
    folder = bench / "world"
    cache("build_cache >before; : >after")
    rounds = []
    chains = [chain for chain in CHAINS if set(chain) & set(options.only)]
    ports = [free_port() for _ in range(3)]
    orders = list(itertools.permutations(["agent", "baseline", "floor"]))
    world, _ = new_world("a", folder, ports)
    clean(world)
    nobody_else()
    try:
        for number in range(options.rounds):
            say(f"round {number + 1} of {options.rounds}, {time.time() - began:.0f} s so far")
            rounds.append({})
            for chain in chains:
                # Nobody always comes first, or after the same one.
                names = list(orders[number % len(orders)])
                if "a" in chain:
                    names.insert(number % 4, "networked")
                for name in names:
                    world, trouble = new_world(chain[0], folder, ports)
                    results = play(chain[:1] if name == "networked" else chain, name, world, trouble)
                    for scenario, result in results.items():
                        rounds[-1].setdefault(scenario, {})[name] = result if scenario == "raw" else vars(result)
        say("what the agent costs")
        world, _ = new_world("a", folder, ports)
        clean(world)
        costs = cost.measure(world, options.idle)
    finally:
        clean(world)
        cache("remove_build_cache after")
        psql("DROP DATABASE IF EXISTS bench WITH (FORCE)")
    found = {"rounds": rounds, "costs": costs}
    if "TARBALL" in os.environ:
        say("the tarball's way")
        found["tarball"] = tarball.measure(bench)
    found["seconds"] = time.time() - began
    (bench / "results.json").write_text(json.dumps(found, indent=1))
    report.write(found, options.page)


main()
