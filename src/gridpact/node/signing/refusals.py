"""What a signer says no with, and what is raised when there is no signer."""

from __future__ import annotations

from gridpact.errors import GridpactError, StoreError


class SignerRefusedError(GridpactError):
    """A signature that would break a promise, or a call that does not fit; nothing was signed."""


class SignerGoneError(StoreError):
    """The signer's process cannot be reached; without it nothing is sent and the node stops."""
