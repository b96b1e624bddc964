"""Carries TCP connections from another network namespace to this one.

forward.py NAMESPACE LISTEN=TARGET...

Listens on each LISTEN (host:port) inside the namespace (a file such as /proc/PID/ns/net) and connects
to TARGET from the namespace it was started in. Says "ready" once it listens; runs until it is killed.
"""

import asyncio
import ctypes
import os
import socket
import sys

CLONE_NEWNET = 0x40000000  # linux/sched.h


def enter(namespace: int) -> None:
    # os.setns needs Python 3.12.
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(namespace, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


def listeners(namespace: str, addresses: list[str]) -> list[socket.socket]:
    """A socket stays in the namespace it was made in, wherever its process goes."""
    home, away = os.open("/proc/self/ns/net", os.O_RDONLY), os.open(namespace, os.O_RDONLY)
    enter(away)
    try:
        return [socket.create_server(split(address), backlog=256) for address in addresses]
    finally:
        enter(home)


def split(address: str) -> tuple[str, int]:
    host, port = address.rsplit(":", 1)
    return host, int(port)


async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    try:
        while data := await source.read(1 << 16):
            sink.write(data)
            await sink.drain()
        sink.write_eof()
    except OSError:
        sink.close()


async def main() -> None:
    pairs = [pair.split("=", 1) for pair in sys.argv[2:]]

    def carrier(target: str):
        async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                back, forth = await asyncio.open_connection(*split(target))
                await asyncio.gather(pump(reader, forth), pump(back, writer))
                forth.close()
            except OSError as error:
                print(f"{target}: {error}", file=sys.stderr)
            writer.close()

        return carry

    sockets = listeners(sys.argv[1], [listen for listen, _ in pairs])
    servers = [
        await asyncio.start_server(carrier(target), sock=listener)
        for listener, (_, target) in zip(sockets, pairs)
    ]
    print("ready", flush=True)
    await asyncio.gather(*(server.serve_forever() for server in servers))


asyncio.run(main())
