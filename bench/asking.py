"""What it costs to log in to the database, to read what it says of itself and to hold the migration's lock: one
first boot of a small application, and the same with the server under a name that is only looked for."""

import json
import time

from contestants import finish, start_agent
from world import ROOT, forget

PAIRS = 20


def boot(world, scheme):
    """Seconds of a first boot whose image is there."""
    forget(world)
    command = json.dumps(["python", "-c", (ROOT / "tests/support/server.py").read_text()])
    config = world.agent_config().replace("database:\n", f"database:\n  scheme: {scheme}\n")
    config = config.replace("app:\n", f"app:\n  command: {command}\n").replace("http: /docs", "http: /")
    began = time.time()
    process = start_agent(world, "--once", config=config + 'migrate: { command: ["true"] }\n')
    ended, _ = finish(process)
    if process.returncode != 0:
        raise RuntimeError((world.folder / "agent.log").read_text())
    return ended - began


def measure(world):
    """Seconds of each pair, by turns: asked, and only looked for."""
    found = {"postgresql": [], "mysql": []}
    for number in range(PAIRS):
        schemes = list(found)
        for scheme in schemes if number % 2 else reversed(schemes):
            found[scheme].append(boot(world, scheme))
    return found
