"""What is wrong with the world in a scenario, each a process of its own.

troubles.py late SECONDS LISTEN TARGET      nobody listens at first, then all is passed on
troubles.py refuse TRIES LISTEN TARGET      503 for a registry's manifests, until TRIES pulls have failed
"""

import asyncio
import sys

REFUSAL = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


async def copy(reader, writer):
    """Passes on what comes until it ends."""
    try:
        while data := await reader.read(1 << 18):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


async def pass_on(reader, writer, target, head=b""):
    """Joins a client to the target."""
    host, _, port = target.rpartition(":")
    try:
        far_reader, far_writer = await asyncio.open_connection(host, int(port))
    except OSError:
        writer.close()
        return
    far_writer.write(head)
    await asyncio.gather(copy(reader, far_writer), copy(far_reader, writer))


def refusing(tries, target):
    """A handler that refuses manifests; each GET of one ends a pull, a HEAD before it does not."""
    left = tries

    async def handle(reader, writer):
        nonlocal left
        if left == 0:
            return await pass_on(reader, writer, target)
        try:
            head = await reader.readexactly(1)
            # The engine tries TLS first, which the registry behind does not speak.
            if head == b"\x16":
                return writer.close()
            head += await reader.readuntil(b"\r\n\r\n")
        except (OSError, asyncio.IncompleteReadError):
            return writer.close()
        line, _, rest = head.partition(b"\r\n")
        if b"/manifests/" in line:
            left -= line.startswith(b"GET")
            writer.write(REFUSAL)
            await writer.drain()
            return writer.close()
        # One request a connection, so that each is seen.
        await pass_on(reader, writer, target, line + b"\r\nConnection: close\r\n" + rest)

    return handle


async def main():
    """Serves until it is ended."""
    kind, number, listen, target = sys.argv[1:]
    host, _, port = listen.rpartition(":")

    async def through(reader, writer):
        await pass_on(reader, writer, target)

    if kind == "late":
        await asyncio.sleep(float(number))
    handler = through if kind == "late" else refusing(int(number), target)
    async with await asyncio.start_server(handler, host, int(port)) as server:
        print("listens", flush=True)
        await server.serve_forever()


asyncio.run(main())
