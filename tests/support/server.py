"""Serves its folder on port 8000 and goes when asked to."""

import http.server
import signal
import sys

signal.signal(signal.SIGTERM, lambda *_: sys.exit())
http.server.ThreadingHTTPServer(("", 8000), http.server.SimpleHTTPRequestHandler).serve_forever()
