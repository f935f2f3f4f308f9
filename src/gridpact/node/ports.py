"""Addresses on this machine that are free."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from random import SystemRandom

_RANGE = range(10_240, 32_768)
"""Below the ports that operating systems give to connections that go out: a validator that is away
for a moment finds its own port free again."""


def free_ports(host: str, count: int) -> list[int]:
    """Ports that nothing listens on now; somebody else may take one before we do."""
    chance = SystemRandom()
    found: list[int] = []
    with ExitStack() as stack:
        while len(found) < count:
            port = chance.choice(_RANGE)
            tried = stack.enter_context(socket.socket())
            try:
                tried.bind((host, port))
            except OSError:
                continue
            found.append(port)
    return found
