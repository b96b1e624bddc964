"""Runs agent, baseline and floor in turn through every scenario, and writes down what they took.

Started by scripts/bench, which sets the world up.
"""

import fcntl
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import asking
import cost
import engine
import large
import options
import report
import tarball
from contestants import CONTESTANTS, raw_restart
from world import LABEL, ROOT, Trouble, World, cache, clean, leftovers, others, peer, psql

# Each chain is one world: what comes second finds what the first one left.
CHAINS = [["a", "e", "f"], ["b"], ["c"], ["d"]]
LATE = 8
LOCK = Path("/run/lock/preview-agent-bench")
ENDS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


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


def play(chain, name, world, trouble):
    """One contestant through one chain; its results by scenario."""
    clean(world)
    results = {}
    running = trouble() if trouble else None
    try:
        for scenario in chain:
            if scenario == "f":
                world.tag = "v2"
            try:
                results[scenario] = CONTESTANTS[name](world)
            except (RuntimeError, TimeoutError, engine.Refused) as error:
                raise RuntimeError(f"{scenario} {name}: {error}") from error
            say(f"  {scenario} {name}: ready after {results[scenario].ready:.2f} s")
            if name == "floor" and scenario == "f":
                results["raw"] = raw_restart(world, engine.containers(LABEL)[0])
    finally:
        if running:
            running.end()
    return results


def play_round(number, chains, folder, ports):
    """Every contestant through every chain: its results by scenario and name."""
    # Nobody always comes first, or after the same one.
    orders = list(itertools.permutations(CONTESTANTS))
    played = {}
    for chain in chains:
        for name in orders[number % len(orders)]:
            world, trouble = new_world(chain[0], folder, ports)
            for scenario, result in play(chain, name, world, trouble).items():
                played.setdefault(scenario, {})[name] = result if scenario == "raw" else vars(result)
    return played


def measure(chosen, bench):
    """All rounds, then the costs; what came so far is kept after each round."""
    began, folder = time.time(), bench / "world"
    ports = [free_port() for _ in range(3)]
    world, _ = new_world("a", folder, ports)
    if found := others(world):
        sys.exit(f"error: containers in the way, end what made them first (scripts/demo down?): {', '.join(found)}")
    cache("build_cache >before; : >after")
    clean(world)
    if found := leftovers():
        sys.exit(f"error: images whose layers would not be pulled, take them away first: docker rmi {' '.join(found)}")
    chains = [chain for chain in CHAINS if set(chain) & set(chosen.only)]
    found = {"rounds": []}
    try:
        say("warming up")
        play(["a"], "floor", world, None)
        for number in range(chosen.rounds):
            say(f"round {number + 1} of {chosen.rounds}, {time.time() - began:.0f} s so far")
            found["rounds"].append(play_round(number, chains, folder, ports))
            (bench / "results.json").write_text(json.dumps(found, indent=1))
        say("what the agent costs")
        clean(world)
        found["costs"] = cost.measure(world, chosen.idle)
        if chosen.page:
            say("what asking the database costs")
            found["costs"]["asking"] = asking.measure(world)
            say("what it costs with something large")
            found["costs"]["large_kib"] = {"a tarball of 200 MB": large.build(world), "an image of 1 GiB": large.pull(world)}
            say("the tarball's way")
            found["tarball"] = tarball.measure(folder)
    finally:
        # Broken off or not: seconds, and nobody breaks off these.
        for end in ENDS:
            signal.signal(end, signal.SIG_IGN)
        say("cleaning up")
        clean(world)
        cache("remove_build_cache after")
        psql("DROP DATABASE IF EXISTS bench WITH (FORCE)")
    found["seconds"] = time.time() - began
    (bench / "results.json").write_text(json.dumps(found, indent=1))
    return found


def broken_off(*_):
    """Whatever runs is ended on the way out."""
    raise KeyboardInterrupt


def main():
    """All of it, then the page."""
    chosen = options.parse(sys.argv[1:])
    for end in ENDS:
        if signal.getsignal(end) != signal.SIG_IGN:
            signal.signal(end, broken_off)
    lock = LOCK.open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.exit("error: another scripts/bench runs on this machine")
    try:
        found = measure(chosen, Path(os.environ["BENCH"]))
    except KeyboardInterrupt:
        sys.exit("error: broken off")
    except (RuntimeError, TimeoutError, engine.Refused, OSError, subprocess.SubprocessError) as error:
        sys.exit(f"error: {error}")
    report.write(found, ROOT / "docs/performance.md" if chosen.page else None)


main()
