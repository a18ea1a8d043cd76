"""Keeps the Python peers of the tests on this machine's loopback. Python imports it at its start because it stands on PYTHONPATH.

Each name in PEER_NAMES (with commas between), and each name below one, is 127.0.0.1, or PEER_ADDRESS in a network of the test's own. Who
would listen on all addresses listens on loopback.
"""

import os
import socket

NAMES = [name.lower() for name in os.environ.get("PEER_NAMES", "").split(",") if name]
ADDRESS = os.environ.get("PEER_ADDRESS", "127.0.0.1")

find_address = socket.getaddrinfo
bind_socket = socket.socket.bind


def is_ours(host):
    text = host.decode("utf8", "replace") if isinstance(host, bytes) else host
    return isinstance(text, str) and any(f".{text.lower()}".endswith(f".{name}") for name in NAMES)


def getaddrinfo(host, *args, **kwargs):
    return find_address(ADDRESS if is_ours(host) else host, *args, **kwargs)


def bind(self, address):
    if self.family == socket.AF_INET and address[0] in ("", "0.0.0.0"):
        address = ("127.0.0.1", *address[1:])
    if self.family == socket.AF_INET6 and address[0] in ("", "::"):
        address = ("::1", *address[1:])
    return bind_socket(self, address)


socket.getaddrinfo = getaddrinfo
socket.socket.bind = bind
