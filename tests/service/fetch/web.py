"""A web server of a test's own: files, and answers that lead elsewhere."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Web(ThreadingHTTPServer):
    """Serves what it is given by path: bytes, or where to go instead; remembers what was asked."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.content: dict[str, bytes | str] = {}
        self.asked: list[str] = []
        self.headers: dict[str, str] = {}

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"

    def answer(self, path):
        """What there is at a path."""
        return self.content.get(path.partition("?")[0])


class _Handler(BaseHTTPRequestHandler):
    server: Web

    def do_GET(self):
        self.server.asked.append(self.path)
        found = self.server.answer(self.path)
        if isinstance(found, str):
            self.send_response(302)
            self.send_header("Location", found)
            found = b""
        elif found is None:
            self.send_response(404)
        else:
            found = self.part(found)
        body = found or b""
        for name, value in self.server.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def part(self, content):
        """What was asked for of a file."""
        asked = self.headers.get("x-ms-range") or self.headers.get("Range")
        if asked is None:
            self.send_response(200)
            return content
        first, last = (int(n) for n in asked.removeprefix("bytes=").split("-"))
        last = min(last, len(content) - 1)
        self.send_response(206)
        self.send_header("Content-Range", f"bytes {first}-{last}/{len(content)}")
        return content[first : last + 1]

    def do_HEAD(self):
        self.do_GET()

    def log_message(self, *args):
        pass


@contextmanager
def served(kind=Web):
    with kind() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
