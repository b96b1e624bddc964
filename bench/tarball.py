"""The tarball's way: verified, gunzipped, re-rooted and streamed, beside what gzip and tar take for it."""

import io
import os
import random
import subprocess
import tarfile
import time

# Name: files, and bytes of each.
SHAPES = {"many small files": (25_000, 8 << 10), "few large files": (4, 50 << 20)}
ROUNDS = 5


def text(source, size):
    """Words, which compress as source code does."""
    words = [f"{source.getrandbits(24):x}" for _ in range(2000)]
    block = " ".join(source.choices(words, k=size // 6 + 1))[:size]
    return block.encode().ljust(size, b"\n")


def archive(path, count, size):
    """An archive as GitHub writes one: all below one folder."""
    source = random.Random(size)
    pool = text(source, 16 << 20) * 4
    with tarfile.open(path, "w:gz", compresslevel=6) as tar:

        def add(name, content):
            member = tarfile.TarInfo(f"acme-big-0123456/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))

        add("Dockerfile", b"FROM scratch\n")
        for number in range(count):
            turn = source.randrange(len(pool) - size)
            add(f"folder{number // 100}/file{number}.txt", pool[turn : turn + size])


def by_hand(path, folder):
    """`gzip -dc | tar -x`, then `tar -c` of what that left; the disk has nothing else to write then."""
    subprocess.run(["sync"], check=True)
    began = time.perf_counter()
    script = 'mkdir "$1" && gzip -dc "$0" | tar -x --strip-components=1 -C "$1" && tar -c -C "$1" . | cat >/dev/null'
    subprocess.run(["bash", "-o", "pipefail", "-c", script, str(path), str(folder)], check=True)
    took = time.perf_counter() - began
    subprocess.run(["rm", "-rf", str(folder)], check=True)
    return took


def by_agent(path):
    """The agent's own code; seconds and peak KiB."""
    told = subprocess.run([os.environ["TARBALL"], str(path)], check=True, capture_output=True, text=True).stdout.split()
    return float(told[0]), int(told[2])


def measure(folder):
    """Both ways in turn, for each shape."""
    found = {}
    for name, (count, size) in SHAPES.items():
        path = folder / f"{name.replace(' ', '-')}.tar.gz"
        archive(path, count, size)
        rounds = [(by_agent(path), by_hand(path, folder / "unpacked")) for _ in range(ROUNDS)]
        found[name] = {
            "bytes": count * size,
            "compressed": path.stat().st_size,
            "agent": [agent[0] for agent, _ in rounds],
            "by_hand": [hand for _, hand in rounds],
            "peak_kib": max(agent[1] for agent, _ in rounds),
        }
    return found
