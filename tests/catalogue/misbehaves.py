"""An application that misbehaves in the way that its argument names."""

import os
import signal
import socket
import sys
import threading
import time

signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
mode = sys.argv[1]
started = time.monotonic()


def page(status: str, body: str) -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}".encode()


def answer(client: socket.socket) -> None:
    # Whoever only connects gets nothing.
    if not client.recv(65536):
        return
    match mode:
        case "silent":
            time.sleep(600)
        case "hangs-up":
            return
        case "head":
            client.sendall(b"HTTP/1.1 200 OK\r\nX-Filler: " + b"x" * (1 << 20) + b"\r\n\r\n")
        case "ssh":
            client.sendall(b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n")
        case "drip":
            for byte in page("200 OK", "fine"):
                client.sendall(bytes([byte]))
                time.sleep(1)
        case "endless":
            client.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
            while True:
                client.sendall(b"x" * 65536)
        case "circle":
            client.sendall(b"HTTP/1.1 302 Found\r\nLocation: /readyz\r\nContent-Length: 0\r\n\r\n")
        case "late" if time.monotonic() - started < 3:
            client.sendall(page("503 Service Unavailable", "warming up"))
        case "sickens" if os.path.exists("/tmp/sick"):
            client.sendall(page("500 Internal Server Error", "it broke"))
        case "late" | "sickens":
            client.sendall(page("200 OK", "fine"))
        case status:
            status, _, body = status.partition("|")
            client.sendall(page(status, body))


def serve(client: socket.socket) -> None:
    try:
        answer(client)
    except OSError:
        pass
    client.close()


server = socket.create_server(("", 8000), backlog=64)
while True:
    threading.Thread(target=serve, args=(server.accept()[0],), daemon=True).start()
