"""Hosts: where the pure parts meet disks, processes and networks."""

from gridpact.node.audit import audit_ledger
from gridpact.node.embedded import EmbeddedEngine
from gridpact.node.export import export_participant
from gridpact.node.forgetting import forget_participant
from gridpact.node.keys import SimulatedKeys
from gridpact.node.port import EnginePort, Refusal
from gridpact.node.prover import prove_bill, prove_state, prove_transaction
from gridpact.node.signature_worker import verify_signature
from gridpact.node.snapshot import restore_ledger, snapshot_ledger
from gridpact.node.store import LedgerStore
from gridpact.node.wallet import Wallet

__all__ = [
    "EmbeddedEngine",
    "EnginePort",
    "LedgerStore",
    "Refusal",
    "SimulatedKeys",
    "Wallet",
    "audit_ledger",
    "export_participant",
    "forget_participant",
    "prove_bill",
    "prove_state",
    "prove_transaction",
    "restore_ledger",
    "snapshot_ledger",
    "verify_signature",
]
