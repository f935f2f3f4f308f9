"""Hosts: where the pure parts meet disks, processes and networks."""

from gridpact.node.audit import AuditReport, audit_ledger
from gridpact.node.embedded import EmbeddedEngine
from gridpact.node.keys import SimulatedKeys
from gridpact.node.port import EnginePort, Refusal
from gridpact.node.prover import prove_bill, prove_state, prove_transaction
from gridpact.node.signature_worker import verify_signature
from gridpact.node.store import LedgerStore
from gridpact.node.wallet import Wallet

__all__ = [
    "AuditReport",
    "EmbeddedEngine",
    "EnginePort",
    "LedgerStore",
    "Refusal",
    "SimulatedKeys",
    "Wallet",
    "audit_ledger",
    "prove_bill",
    "prove_state",
    "prove_transaction",
    "verify_signature",
]
