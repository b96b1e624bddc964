"""Runs agent, baseline and floor in turn through every scenario, and writes down what they took.

Started by scripts/bench, which sets the world up.
"""

import argparse
import json
import os
import random
import sys
import time
from pathlib import Path

import cost
import engine
import report
import tarball
from contestants import CONTESTANTS, raw_restart
from world import LABEL, Trouble, World, cache, clean, peer, psql

# Each chain is one world: what comes second finds what the first one left.
CHAINS = [["a", "e", "f"], ["b"], ["c"], ["d"]]
LATE = 8


def free_port():
    """Some port that nobody listens on."""
    import socket

    with socket.socket() as found:
        found.bind(("", 0))
        return found.getsockname()[1]


def say(text):
    """One line about what happens now."""
    print(f"==> {text}", file=sys.stderr, flush=True)


def new_world(scenario, folder):
    """The world that a chain begins with, and what is wrong with it."""
    world = World(folder, free_port(), peer("REGISTRY"), int(peer("POSTGRES_PORT")))
    if scenario == "b":
        world.db_port = free_port()
        host = peer("POSTGRES_HOST")
        return world, lambda: Trouble("late", LATE, f"{host}:{world.db_port}", f"{host}:{peer('POSTGRES_PORT')}")
    if scenario == "c":
        world.tag = peer("SOURCE_COMMIT")
    if scenario == "d":
        world.registry = f"127.0.0.1:{free_port()}"
        return world, lambda: Trouble("refuse", 2, world.registry, peer("REGISTRY"))
    return world, None


def play(chain, name, folder):
    """One contestant through one chain; its results by scenario."""
    world, trouble = new_world(chain[0], folder)
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
    return world, results


def main():
    """All rounds, then the costs, then the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="abcdef", help="scenarios, by letter")
    parser.add_argument("--idle", type=int, default=60, help="seconds over which an idle agent is watched")
    parser.add_argument("--page", type=Path, help="the page that takes the results")
    options = parser.parse_args()
    bench, began = Path(os.environ["BENCH"]), time.time()
    folder = bench / "world"
    cache("build_cache >before; : >after")
    rounds = []
    chains = [chain for chain in CHAINS if chain[0] in options.only]
    world = None
    try:
        for number in range(options.rounds):
            say(f"round {number + 1} of {options.rounds}, {time.time() - began:.0f} s so far")
            rounds.append({})
            for chain in chains:
                # Nobody always comes first, or after the same one.
                for name in random.Random(number).sample(list(CONTESTANTS), len(CONTESTANTS)):
                    world, results = play(chain, name, folder)
                    for scenario, result in results.items():
                        rounds[-1].setdefault(scenario, {})[name] = result if scenario == "raw" else vars(result)
        say("what the agent costs")
        world, _ = new_world("a", folder)
        clean(world)
        costs = cost.measure(world, options.idle)
    finally:
        if world:
            clean(world)
            psql("DROP DATABASE IF EXISTS bench WITH (FORCE)")
    found = {"rounds": rounds, "costs": costs}
    if "TARBALL" in os.environ:
        say("the tarball's way")
        found["tarball"] = tarball.measure(bench)
    found["seconds"] = time.time() - began
    (bench / "results.json").write_text(json.dumps(found, indent=1))
    report.write(found, options.page)


main()
