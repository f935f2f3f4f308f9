"""Keys at rest, and a signer in a process of its own that only moves forward."""

from gridpact.node.signing.client import Ed25519Verifier, SignerClient, is_withheld
from gridpact.node.signing.folder import Kind, add_key, allow, make_key, reseal, show, use_key
from gridpact.node.signing.keyfile import Rotation
from gridpact.node.signing.process import SignerProcess
from gridpact.node.signing.raft_signer import passed
from gridpact.node.signing.refusals import SignerGoneError, SignerRefusedError

__all__ = [
    "Ed25519Verifier",
    "Kind",
    "Rotation",
    "SignerClient",
    "SignerGoneError",
    "SignerProcess",
    "SignerRefusedError",
    "add_key",
    "allow",
    "is_withheld",
    "make_key",
    "passed",
    "reseal",
    "show",
    "use_key",
]
