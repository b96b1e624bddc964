"""The world that every contestant finds: peers, settings, and nothing left of the one before."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import engine

HERE = Path(__file__).parent
ROOT = HERE.parent
# On what a contestant other than the agent makes, and on the application of it.
MADE = "preview-agent.bench"
SCOPE = "preview-agent.scope"
LABEL = "preview-agent.bench.app"
APP = "preview-agent-bench"


def peer(name):
    """One line of .cache/peers/env."""
    return os.environ[f"PEERS_{name}"]


@dataclass
class World:
    """One scenario's settings: whom the contestants talk to, and what they are to deploy."""

    folder: Path
    port: int
    registry: str
    db_port: int
    # What stands before the registry in one scenario: images that came through it have its name.
    stand_in: str
    tag: str = "good"

    @property
    def image(self):
        """The image's reference, through whatever stands before the registry."""
        return f"{self.registry}/acme/tasks-api:{self.tag}"

    @property
    def scope(self):
        """The label of all that the agent makes."""
        return f"{SCOPE}={self.folder / 'state'}"

    def environment(self):
        """What the application and its migration are given."""
        user, password = peer("POSTGRES_USER"), peer("POSTGRES_PASSWORD_QUOTED")
        database = f"postgresql://{user}:{password}@{peer('POSTGRES_HOST')}:{self.db_port}/bench"
        return [f"DATABASE_URL={database}", "ENVIRONMENT=preview"]

    def agent_config(self):
        """The same deployment, for the agent."""
        login = f"{{ username: {peer('REGISTRY_USER')}, password: {{ ssm: /pr-preview/bench/registry-password }} }}"
        logins = "\n".join(f'  "{host}": {login}' for host in {self.registry, peer("REGISTRY")})
        return f"""\
deployment: {{ id: bench }}
image: {self.image}
registries:
{logins}
source:
  repository: acme/tasks-api
  ref: {peer("SOURCE_COMMIT")}
  token: {{ ssm: /pr-preview/bench/github-token }}
  api_url: {peer("GITHUB_API")}
  build_args: {{ BASE: "{peer("PLATFORM_BASE")}" }}
database:
  host: {peer("POSTGRES_HOST")}
  port: {self.db_port}
  name: bench
  user: {peer("POSTGRES_USER")}
  password: {{ ssm: /pr-preview/bench/database-password }}
app:
  port: 8000
  publish: "{self.port}"
  env: {{ ENVIRONMENT: preview }}
health: [tcp, {{ http: /docs }}]
report: {{ parameter: /pr-preview/bench/status }}
"""


def run(*command, **options):
    """A command that must work, without its output."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    if done.returncode != 0:
        sys.exit(f"error: {' '.join(map(str, command))}: {done.stdout}{done.stderr}")
    return done.stdout


def psql(statement):
    """A statement for the server."""
    run(
        f"{peer('POSTGRES_BIN')}/psql", "-qh", peer("POSTGRES_HOST"), "-p", peer("POSTGRES_PORT"), "-U",
        peer("POSTGRES_USER"), "-d", "postgres", "-c", statement, env={**os.environ, "PGPASSWORD": peer("POSTGRES_PASSWORD")},
    )  # fmt: skip


def cache(function):
    """A function of scripts/lib/build-cache.sh on the bench's own lists."""
    run("bash", "-c", f'set -o pipefail; . "{ROOT}/scripts/lib/common.sh"; . "{ROOT}/scripts/lib/build-cache.sh"; cd "$0"; {function}', os.environ["BENCH"])


def others(world):
    """Names of containers that are not ours and would change what is measured: those of another agent, and
    those whose image is one of ours, which then cannot be taken away, so that its pull is none."""
    images = engine.ask("GET", "/images/json")
    ours = {image["Id"] for image in images if any(tag.startswith(f"{peer('REGISTRY')}/") for tag in image["RepoTags"] or [])}
    found = []
    for container in engine.ask("GET", "/containers/json", all="1"):
        labels = container["Labels"] or {}
        mine = MADE in labels or f"{SCOPE}={labels.get(SCOPE)}" == world.scope
        if not mine and (SCOPE in labels or container["ImageID"] in ours):
            found += container["Names"]
    return [name.removeprefix("/") for name in found]


def leftovers():
    """Images of the sample that another checkout or a bench that was killed has left: their layers are there,
    so that a pull would be none."""
    tags = [tag for image in engine.ask("GET", "/images/json") for tag in image["RepoTags"] or []]
    return [tag for tag in tags if tag.rpartition(":")[0].endswith(("/acme/tasks-api", "/base/python", "/tools/psql"))]


def forget(world):
    """Removes containers, networks and what the agent has written down; images stay."""
    for label in (MADE, world.scope):
        for container in engine.containers(label):
            engine.remove(container)
        networks = run("docker", "network", "ls", "-q", "--filter", f"label={label}").split()
        if networks:
            run("docker", "network", "rm", *networks)
    run("rm", "-rf", str(world.folder))
    world.folder.mkdir(parents=True)


def clean(world):
    """Removes all that a contestant has made, so that the next one finds nothing."""
    forget(world)
    listed = run("docker", "images", "--format", "{{.Repository}}:{{.Tag}} {{.ID}}").splitlines()
    ours = {line.split()[1] for line in listed if line.startswith((f"{world.stand_in}/", f"{peer('REGISTRY')}/"))}
    ours |= set(run("docker", "images", "-q", "--filter", f"label={world.scope}").split())
    if ours:
        run("docker", "rmi", "-f", *ours)
    cache("note_build_cache before after; remove_build_cache after regular")
    for statement in ("DROP DATABASE IF EXISTS bench WITH (FORCE)", "CREATE DATABASE bench"):
        psql(statement)
    # Nobody pays for what another one wrote.
    run("sync")


class Trouble:
    """One of troubles.py, for as long as a contestant runs."""

    def __init__(self, kind, number, listen, target):
        self.process = subprocess.Popen([sys.executable, HERE / "troubles.py", kind, str(number), listen, target], stdout=subprocess.PIPE, text=True, start_new_session=True)
        # Late is when it begins, the other one has to be there.
        if kind != "late" and not self.process.stdout.readline():
            sys.exit(f"error: nobody listens on {listen}")

    def end(self):
        """It goes."""
        self.process.terminate()
        self.process.wait()
