"""A BitTorrent tracker over HTTP, just enough for the rivals to meet: compact IPv4 peers, kept in memory."""

import contextlib
import ipaddress
import struct
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from harness.torrent import bencode

# Short, so that no rival loses time because it asked too early.
INTERVAL_S = 5


class Tracker:
    def __init__(self, address, port):
        self.url = f"http://{address}:{port}/announce"
        self._changed = threading.Condition()
        self._peers = {}
        self._server = ThreadingHTTPServer((address, port), type("Desk", (_Desk,), {"tracker": self}))
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()

    def forget(self):
        """Starts a new run with nobody known."""
        with self._changed:
            self._peers.clear()

    def await_complete(self, deadline, alive):
        """Waits until somebody has announced that it has everything, calling `alive` now and then.

        False when the deadline passes first, or it is no longer alive.
        """
        with self._changed:
            while not any(left == 0 for left in self._peers.values()):
                if time.monotonic() >= deadline or not alive():
                    return False
                self._changed.wait(0.1)
        return True

    def announce(self, peer, event, left):
        """Takes an announce and returns the others."""
        with self._changed:
            if event == "stopped":
                self._peers.pop(peer, None)
            else:
                self._peers[peer] = left
            self._changed.notify_all()
            others = [other for other in self._peers if other != peer]
            complete = sum(left == 0 for left in self._peers.values())
        packed = b"".join(ipaddress.IPv4Address(host).packed + struct.pack(">H", port) for host, port in others)
        return bencode({
            "interval": INTERVAL_S,
            "min interval": INTERVAL_S,
            "complete": complete,
            "incomplete": len(others) + 1 - complete,
            "peers": packed,
        })


class _Desk(BaseHTTPRequestHandler):
    tracker = None

    def do_GET(self):
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query, encoding="latin-1")
        try:
            peer = (self.client_address[0], int(query["port"][0]))
            left = int(query.get("left", ["1"])[0])
        except (KeyError, ValueError):
            self.send_error(400)
            return
        body = self.tracker.announce(peer, query.get("event", [""])[0], left)
        # A client that is told to leave does not wait for its answer.
        with contextlib.suppress(ConnectionError):
            self.send_response(200)
            self.send_header("Content-Type", "text/plain")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    def log_message(self, *_):
        """The runs are read from the programs, not from here."""
