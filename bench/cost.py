"""What the agent costs: its size, how fast it answers, and what it uses while it watches."""

import os
import statistics
import tempfile
import time
from pathlib import Path

from contestants import agent_environment, finish, start_agent
from world import ROOT, clean, peer, run

RUNS = 200
BIG = 200_000_000
# Where the stand-in for GitHub looks.
BIG_REPOSITORY = ROOT / ".cache/peers/source/acme/big.git"


def whole_process(arguments, environment):
    """Milliseconds from the spawn to the end, each run by itself."""
    times = []
    silent = [(os.POSIX_SPAWN_OPEN, fd, "/dev/null", os.O_RDWR, 0) for fd in (0, 1, 2)]
    for _ in range(RUNS):
        began = time.perf_counter()
        pid = os.posix_spawn(arguments[0], arguments, environment, file_actions=silent)
        os.waitpid(pid, 0)
        times.append((time.perf_counter() - began) * 1000)
    return times


def threads(pid):
    """Wake-ups and nanoseconds of a processor that all threads of a process have had."""
    wakes = busy = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        status = (task / "status").read_text()
        wakes += sum(int(line.split()[1]) for line in status.splitlines() if "ctxt_switches" in line)
        busy += int((task / "schedstat").read_text().split()[0])
    return wakes, busy


def memory(pid):
    """Resident KiB now and at most."""
    fields = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return [int(fields[name].split()[0]) for name in ("VmRSS", "VmHWM")]


def supervising(world, seconds):
    """An agent that watches an application: wake-ups, processor and memory."""
    process = start_agent(world)
    try:
        until_ready(world, process)
        time.sleep(5)
        before, at = threads(process.pid), time.time()
        time.sleep(seconds)
        after, took = threads(process.pid), time.time() - at
        resident, peak = memory(process.pid)
    finally:
        process.terminate()
        process.wait()
    return {
        "seconds": took,
        "wakeups": (after[0] - before[0]) / took,
        "cpu": (after[1] - before[1]) / 1e9 / took,
        "resident_kib": resident,
        "peak_kib": peak,
    }


def big_source():
    """A repository with 200 MB that do not compress; its commit."""
    run("rm", "-rf", str(BIG_REPOSITORY))
    git = ["git", f"--git-dir={BIG_REPOSITORY}"]
    run("git", "init", "-q", "--bare", str(BIG_REPOSITORY))
    names = [(run(*git, "hash-object", "-w", "--stdin", input="FROM scratch\nCOPY . /\n").strip(), "Dockerfile")]
    with tempfile.NamedTemporaryFile() as big:
        big.write(os.urandom(BIG))
        big.flush()
        names.append((run(*git, "hash-object", "-w", big.name).strip(), "big"))
    listing = "".join(f"100644 blob {blob}\t{name}\n" for blob, name in names)
    tree = run(*git, "mktree", input=listing).strip()
    author = {f"GIT_{who}_{what}": "bench@example.com" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    return run(*git, "commit-tree", "-m", "big", tree, env={**os.environ, **author}).strip()


def big_build(world):
    """The most memory that is held while an image is built from a big tarball, in KiB. What comes out
    has nothing to start, so that the run fails after that."""
    clean(world)
    commit = big_source()
    config = world.agent_config().replace("acme/tasks-api", "acme/big").replace(peer("SOURCE_COMMIT"), commit)
    head, _, rest = config.partition("database:")
    config = f"{head}database: off\nmigrate: off\n{rest[rest.index('app:'):]}"
    process = start_agent(world, "--once", config=config)
    try:
        _, peak = finish(process)
    finally:
        run("rm", "-rf", str(BIG_REPOSITORY))
    log = (world.folder / "agent.log").read_text()
    if "image: done" not in log:
        raise RuntimeError(log)
    return peak


def until_ready(world, process):
    """Waits for the end of the run."""
    log, end = world.folder / "agent.log", time.time() + 120
    while "outcome=ready" not in log.read_text():
        if process.poll() is not None or time.time() > end:
            raise RuntimeError(log.read_text())
        time.sleep(0.05)


def measure(world, seconds):
    """All of it, beside one application that the agent has deployed."""
    idle = supervising(world, seconds)
    agent, environment = os.environ["AGENT"], agent_environment(world)
    commands = {"true": ["/bin/true"], "version": [agent, "--version"], "status": [agent, "status"]}
    times = {name: whole_process(command, environment) for name, command in commands.items()}
    return {
        "bytes": os.stat(agent).st_size,
        "big_build_kib": big_build(world),
        "supervising": idle,
        "milliseconds": {name: [statistics.median(taken), min(taken), max(taken)] for name, taken in times.items()},
    }
