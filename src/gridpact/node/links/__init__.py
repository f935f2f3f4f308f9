"""Links between validators: TLS 1.3 with pinned certificates, frames that may be lost."""

from gridpact.node.links.connection import Limits
from gridpact.node.links.identity import Member, make_identity, write_key
from gridpact.node.links.mesh import UNKNOWN, Counts, Mesh
from gridpact.node.links.refusals import LinkError, Reason

__all__ = [
    "UNKNOWN",
    "Counts",
    "Limits",
    "LinkError",
    "Member",
    "Mesh",
    "Reason",
    "make_identity",
    "write_key",
]
