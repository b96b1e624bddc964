"""What the agent costs: its size, how fast it answers, and what it uses while it watches."""

import os
import statistics
import time
from contextlib import contextmanager
from pathlib import Path

import network
from contestants import agent_environment, start_agent

RUNS = 200


def whole_process(arguments, environment):
    """Milliseconds from the spawn to the end, each run by itself."""
    times = []
    silent = [(os.POSIX_SPAWN_OPEN, fd, "/dev/null", os.O_RDWR, 0) for fd in (0, 1, 2)]
    for _ in range(RUNS):
        began = time.perf_counter()
        pid = os.posix_spawn(arguments[0], arguments, environment, file_actions=silent)
        _, status = os.waitpid(pid, 0)
        times.append((time.perf_counter() - began) * 1000)
        if code := os.waitstatus_to_exitcode(status):
            raise RuntimeError(f"{' '.join(arguments)} ended with {code}")
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


@contextmanager
def watching(world):
    """An agent that has deployed an application and watches it."""
    process = start_agent(world)
    try:
        until_ready(world, process)
        yield process
    finally:
        process.terminate()
        process.wait()


def supervising(process, seconds):
    """What it takes for that: wake-ups, processor and memory."""
    time.sleep(5)
    before, at = threads(process.pid), time.time()
    time.sleep(seconds)
    after, took = threads(process.pid), time.time() - at
    resident, peak = memory(process.pid)
    return {
        "seconds": took,
        "wakeups": (after[0] - before[0]) / took,
        "cpu": (after[1] - before[1]) / 1e9 / took,
        "resident_kib": resident,
        "peak_kib": peak,
    }


def until_ready(world, process):
    """Waits for the end of the run."""
    log, end = world.folder / "agent.log", time.time() + 120
    while "outcome=ready" not in log.read_text():
        if process.poll() is not None or time.time() > end:
            raise RuntimeError(log.read_text())
        time.sleep(0.05)


def measure(world, seconds):
    """All of it, beside one application that the agent has deployed."""
    agent, environment = os.environ["AGENT"], agent_environment(world)
    commands = {"true": ["/bin/true"], "version": [agent, "--version"], "status": [agent, "status"]}
    with watching(world) as process:
        idle = supervising(process, seconds)
        times = {name: whole_process(command, environment) for name, command in commands.items()}
    return {
        "bytes": os.stat(agent).st_size,
        "network": network.measure(world.image),
        "supervising": idle,
        "milliseconds": {name: [statistics.median(taken), min(taken), max(taken)] for name, taken in times.items()},
    }
