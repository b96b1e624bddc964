"""What the agent holds in memory while something large goes by: an image that it has pulled, a tarball that it builds from."""

import hashlib
import json
import os
import platform
import tarfile
import tempfile
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from contestants import finish, start_agent
from world import ROOT, clean, peer, run

IMAGE = 1 << 30
TARBALL = 200_000_000
# Where the stand-in for GitHub looks.
REPOSITORY = ROOT / ".cache/peers/source/acme/big.git"
MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
# As the engine calls them.
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def peak(world, config):
    """The most memory that is held until the image is there, in KiB. It has nothing to start, so that the
    run fails after that."""
    head, _, rest = config.partition("database:")
    process = start_agent(world, "--once", config=f"{head}database: off\nmigrate: off\n{rest[rest.index('app:') :]}")
    _, most = finish(process)
    log = (world.folder / "agent.log").read_text()
    if "image: done" not in log:
        raise RuntimeError(log)
    return most


def layer():
    """A layer with one file that does not compress, in parts."""
    member = tarfile.TarInfo("large")
    member.size = IMAGE
    yield member.tobuf()
    block = os.urandom(1 << 20)
    for _ in range(IMAGE // len(block)):
        yield block
    yield bytes(2 * tarfile.BLOCKSIZE)


@contextmanager
def registry(address):
    """A registry that has nothing but a large image."""
    parts = list(layer())
    digest, size = hashlib.sha256(), 0
    for part in parts:
        digest.update(part)
        size += len(part)
    layer_digest = f"sha256:{digest.hexdigest()}"
    stored = {}

    def store(document):
        body = json.dumps(document).encode()
        stored[f"sha256:{hashlib.sha256(body).hexdigest()}"] = [body]
        return {"digest": list(stored)[-1], "size": len(body)}

    what = {"os": "linux", "architecture": ARCHITECTURES[platform.machine()]}
    config = store({**what, "config": {}, "rootfs": {"type": "layers", "diff_ids": [layer_digest]}})
    config["mediaType"] = "application/vnd.docker.container.image.v1+json"
    layers = [{"mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip", "digest": layer_digest, "size": size}]
    manifest = store({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers})["digest"]
    stored |= {layer_digest: parts, "1": stored[manifest], "": [b"{}"]}

    class Handler(BaseHTTPRequestHandler):
        """Manifests and blobs by the last part of the path."""

        def answer(self):
            """The head; what follows it."""
            name = self.path.rpartition("/")[2]
            body = stored[name]
            self.send_response(200)
            self.send_header("Content-Length", str(sum(map(len, body))))
            self.send_header("Content-Type", MANIFEST if "/manifests/" in self.path else "application/octet-stream")
            if "/manifests/" in self.path:
                self.send_header("Docker-Content-Digest", manifest)
            self.end_headers()
            return body

        do_HEAD = answer

        def do_GET(self):
            """All of it."""
            for part in self.answer():
                self.wfile.write(part)

        def log_message(self, *_):
            """Nothing."""

    host, _, port = address.rpartition(":")
    with ThreadingHTTPServer((host, int(port)), Handler) as server:
        threading.Thread(target=server.serve_forever).start()
        try:
            yield
        finally:
            server.shutdown()


def pull(world):
    """The most memory that is held while a large image is pulled, in KiB."""
    clean(world)
    with registry(world.stand_in):
        return peak(world, world.agent_config().replace(world.image, f"{world.stand_in}/acme/large:1"))


def source():
    """A repository with a file that does not compress; its commit."""
    run("rm", "-rf", str(REPOSITORY))
    git = ["git", f"--git-dir={REPOSITORY}"]
    run("git", "init", "-q", "--bare", str(REPOSITORY))
    names = [(run(*git, "hash-object", "-w", "--stdin", input="FROM scratch\nCOPY . /\n").strip(), "Dockerfile")]
    with tempfile.NamedTemporaryFile() as file:
        file.write(os.urandom(TARBALL))
        file.flush()
        names.append((run(*git, "hash-object", "-w", file.name).strip(), "large"))
    listing = "".join(f"100644 blob {blob}\t{name}\n" for blob, name in names)
    tree = run(*git, "mktree", input=listing).strip()
    author = {f"GIT_{who}_{what}": "bench@example.com" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    return run(*git, "commit-tree", "-m", "large", tree, env={**os.environ, **author}).strip()


def build(world):
    """The most memory that is held while an image is built from a large tarball, in KiB."""
    clean(world)
    commit = source()
    try:
        return peak(world, world.agent_config().replace("acme/tasks-api", "acme/big").replace(peer("SOURCE_COMMIT"), commit))
    finally:
        run("rm", "-rf", str(REPOSITORY))
