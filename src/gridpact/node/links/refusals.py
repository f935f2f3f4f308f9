"""Why a connection between validators is refused or ended, as reasons that can be counted."""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """What a peer, or who claims to be one, did."""

    TLS = "tls"
    """Did not speak TLS 1.3, or turned our certificate down."""
    CERTIFICATE = "certificate"
    """Showed none, or one that is not pinned, or that of another member than was dialled."""
    NAME = "name"
    """Greeted with another name than its certificate's."""
    CHAIN = "chain"
    """Greeted from another chain."""
    VERSION = "version"
    """Greeted in another version of the protocol."""
    OVERSIZED = "oversized"
    """Announced a frame beyond the limit."""
    MALFORMED = "malformed"
    """Sent what cannot be read."""
    SLOW = "slow"
    """Began a handshake or a frame and did not finish it in time."""
    CROWDED = "crowded"
    """Had not shown who it is when too many others came who had not either."""


class LinkError(Exception):
    """A connection that is not gone on with.

    Args:
        reason: for counting.
        detail: for people; holds nothing that the other side sent but numbers and names.
    """

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail
