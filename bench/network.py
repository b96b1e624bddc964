"""What the network costs that the agent gives its containers: making it, and starting a container on it."""

import time

import engine
from world import APP, MADE

TRIES = 10


def timed(ask, *arguments):
    """Seconds, and what came back."""
    began = time.perf_counter()
    answer = ask(*arguments)
    return time.perf_counter() - began, answer


def measure(image):
    """Seconds of each try: to make a network, to start a container on it, and to start one on the engine's own."""
    found = {"made": [], "own": [], "default": []}
    for number in range(TRIES):
        spec = {"Name": APP, "Driver": "bridge", "Labels": {MADE: "1"}}
        took, answer = timed(engine.ask, "POST", "/networks/create", spec)
        found["made"].append(took)
        pair = [("own", APP), ("default", "default")]
        for what, network in pair if number % 2 else reversed(pair):
            container = engine.create(f"{APP}-{what}", image, [], {MADE: "1"}, network, ["true"])
            found[what].append(timed(engine.start, container)[0])
            engine.wait(container)
            engine.remove(container)
        engine.ask("DELETE", f"/networks/{answer['Id']}")
    return found
