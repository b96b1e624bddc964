"""The three that deploy the same: the agent, the script that it replaces, and the floor below both."""

import base64
import json
import os
import re
import signal
import socket
import subprocess
import time
from dataclasses import dataclass, field
from datetime import datetime

import engine
from prober import Prober
from world import APP, HERE, LABEL, MADE, peer

# A line of the agent's log that ends a phase.
PHASE = re.compile(r"^(\S+Z) .*phase=(\w+) state=(\w+)(?: ms=(\d+))?", re.MULTILINE)


# Seconds that anything may take.
PATIENCE = 300


@dataclass
class Result:
    """One round of one contestant, in seconds since it was started."""

    ready: float
    answered: float
    downtime: float
    spans: list = field(default_factory=list)
    peak_kib: int = 0


def peak(pid):
    """The most memory that a process has held, in KiB; 0 once it has ended."""
    try:
        with open(f"/proc/{pid}/status", encoding="ascii") as status:
            return next((int(line.split()[1]) for line in status if line.startswith("VmHWM")), 0)
    except OSError:
        return 0


def finish(process):
    """Waits for the end; returns when it came and the most memory that was held."""
    most, end = 0, time.time() + PATIENCE
    try:
        while process.poll() is None:
            most = max(most, peak(process.pid))
            if time.time() > end:
                raise TimeoutError(f"{process.args} did not end")
            time.sleep(0.01)
    except BaseException:
        # With all that it has started.
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise
    return time.time(), most


def agent_environment(world):
    """What the unit would set, and the peers in AWS's place."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return kept | {
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        "AWS_ENDPOINT_URL_SSM": peer("SSM_ENDPOINT"),
        "AWS_EC2_METADATA_SERVICE_ENDPOINT": peer("IMDS_ENDPOINT"),
        "RUNTIME_DIRECTORY": str(world.folder / "run"),
        "STATE_DIRECTORY": str(world.folder / "state"),
    }


def start_agent(world, *arguments, config=None):
    """`agent run`, its log in the world's folder."""
    for folder in ("run", "state"):
        (world.folder / folder).mkdir(exist_ok=True)
    path = world.folder / "config.yaml"
    path.write_text(config or world.agent_config())
    with open(world.folder / "agent.log", "w", encoding="utf-8") as log:
        command = [os.environ["AGENT"], "run", *arguments, "--config", str(path)]
        return subprocess.Popen(command, env=agent_environment(world), stdout=log, stderr=log, start_new_session=True)


def agent(world):
    """One run of the agent."""
    with Prober(world.port) as prober:
        began = time.time()
        process = start_agent(world, "--once")
        ended, most = finish(process)
        log = (world.folder / "agent.log").read_text()
        if process.returncode != 0:
            raise RuntimeError(f"ended with {process.returncode}: {log}")
        prober.wait_for_answer()
    spans = [("begin", 0.0)]
    for at, phase, _, ms in PHASE.findall(log):
        end = datetime.fromisoformat(at).timestamp() - began
        spans += [(phase, end - int(ms) / 1000), ("", end)] if ms else []
    return Result(ended - began, prober.first_answer(began), prober.downtime(), [*spans, ("end", ended - began)], most)


def baseline(world):
    """One run of the User Data script."""
    marks, settings = world.folder / "marks", world.folder / "env"
    marks.unlink(missing_ok=True)
    settings.write_text("\n".join(world.environment()) + "\n")
    environment = os.environ | {
        "MARKS": str(marks),
        "IMAGE": world.image,
        "REGISTRY": world.registry,
        "REGISTRY_USER": peer("REGISTRY_USER"),
        "REGISTRY_PASSWORD": peer("REGISTRY_PASSWORD"),
        "DOCKER_CONFIG": str(world.folder / "docker"),
        "GITHUB_API": peer("GITHUB_API"),
        "GITHUB_TOKEN": peer("GITHUB_TOKEN"),
        "REPOSITORY": "acme/tasks-api",
        "COMMIT": peer("SOURCE_COMMIT"),
        "BASE": peer("PLATFORM_BASE"),
        "DB_HOST": peer("POSTGRES_HOST"),
        "DB_PORT": str(world.db_port),
        "ENV_FILE": str(settings),
        "NAME": APP,
        "CONTAINER_LABELS": f"--label={MADE}",
        "PORT": str(world.port),
        "TMPDIR": str(world.folder),
    }
    with Prober(world.port) as prober, open(world.folder / "baseline.log", "w", encoding="utf-8") as log:
        began = time.time()
        process = subprocess.Popen([HERE / "user-data.sh"], env=environment, stdout=log, stderr=log, start_new_session=True)
        ended, most = finish(process)
        if process.returncode != 0:
            raise RuntimeError(f"ended with {process.returncode}: {(world.folder / 'baseline.log').read_text()}")
        prober.wait_for_answer()
    spans = [(name, float(at) - began) for at, name in map(str.split, marks.read_text().splitlines())]
    return Result(ended - began, prober.first_answer(began), prober.downtime(), spans, most)


def floor(world):
    """The same work with nothing around it: no waiting, no look before, no report."""
    with Prober(world.port) as prober:
        began = time.time()
        spans = []

        def mark(name):
            spans.append((name, time.time() - began))

        served = engine.containers(LABEL)
        old = list(served)
        mark("image")
        if served and world.tag == "good":
            # Converged: it is there and answers.
            prober.wait_for_answer()
        else:
            floor_image(world)
            mark("database")
            until_open(peer("POSTGRES_HOST"), world.db_port)
            mark("migrate")
            migration = engine.create(f"{APP}-migrate", world.image, world.environment(), {MADE: "1"}, "default", ["alembic", "upgrade", "head"])
            engine.start(migration)
            if code := engine.wait(migration):
                raise RuntimeError(f"alembic ended with {code}")
            old.append(migration)
            mark("start")
            new = engine.create(f"{APP}-{world.tag}", world.image, world.environment(), {MADE: "1", LABEL: "1"}, "default", publish=world.port)
            for container in served:
                engine.stop(container)
            stopped = len(prober.answers)
            engine.start(new)
            mark("health")
            prober.wait_for_answer(stopped if served else 0)
        mark("ready")
    # What is over goes when nobody waits any more.
    for container in old if len(spans) > 2 else []:
        engine.remove(container)
    return Result(spans[-1][1], prober.first_answer(began), prober.downtime(), spans)


def floor_image(world):
    """Pulled at once as often as it takes, or built where it is nowhere."""
    if world.tag == peer("SOURCE_COMMIT"):
        return floor_build(world)
    end = time.time() + PATIENCE
    while True:
        try:
            return engine.pull(world.image, world.registry, peer("REGISTRY_USER"), peer("REGISTRY_PASSWORD"))
        except engine.Refused as refusal:
            if "503" not in str(refusal) or time.time() > end:
                raise


def floor_build(world):
    """Download, unpack, build: the build through the client, since BuildKit wants a session."""
    environment = os.environ | {
        "DOCKER_CONFIG": str(world.folder / "docker"),
        "DOCKER_BUILDKIT": "1",
        "TOKEN": peer("GITHUB_TOKEN"),
    }
    login = base64.b64encode(f"{peer('REGISTRY_USER')}:{peer('REGISTRY_PASSWORD')}".encode()).decode()
    (world.folder / "docker").mkdir()
    (world.folder / "docker" / "config.json").write_text(json.dumps({"auths": {world.registry: {"auth": login}}}))
    url = f"{peer('GITHUB_API')}/repos/acme/tasks-api/tarball/{peer('SOURCE_COMMIT')}"
    command = f"""set -e; mkdir source
curl -fsSL -H "Authorization: Bearer $TOKEN" -H 'User-Agent: floor' {url} | tar -xz --strip-components=1 -C source
"$BUILDER" build -q -t {world.image} --build-arg BASE={peer("PLATFORM_BASE")} source"""
    done = subprocess.run(["bash", "-c", command], cwd=world.folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(done.stderr)


def until_open(host, port):
    """Waits for a port, looking all the time."""
    end = time.time() + PATIENCE
    while True:
        try:
            return socket.create_connection((host, port), timeout=1).close()
        except OSError:
            if time.time() > end:
                raise
            time.sleep(0.005)


def raw_restart(world, container):
    """How long the application is away when the engine stops it and starts it again."""
    with Prober(world.port) as prober:
        prober.wait_for_answer()
        engine.stop(container)
        stopped = len(prober.answers)
        engine.start(container)
        prober.wait_for_answer(stopped)
    return prober.downtime()


CONTESTANTS = {"agent": agent, "baseline": baseline, "floor": floor}
