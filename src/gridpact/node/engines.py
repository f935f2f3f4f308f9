"""Which engine made a ledger, and what it says about itself in the engine root."""

from __future__ import annotations

from gridpact.contracts.genesis import Genesis
from gridpact.errors import StoreError
from gridpact.ledger.blocks import EngineState
from gridpact.node.tables import LedgerTables

EMBEDDED = "embedded"
COMETBFT = "cometbft"
RAFT = "raft"
WEIGHTED_RAFT = "weighted-raft"
ENGINES = (EMBEDDED, COMETBFT, RAFT, WEIGHTED_RAFT)
"""Engines whose validators are those of the genesis for ever."""


def engine_state(genesis: Genesis, engine: str) -> EngineState:
    """The state of an engine at height 0."""
    validators = sorted((v.party, v.weight) for v in genesis.validators)
    return EngineState(engine, 0, 0, validators)


def stored_engine(store: LedgerTables) -> str:
    """The engine that the last record names; the embedded one before the first block.

    Raises:
        StoreError: an engine that this release does not know, or a damaged record.
    """
    tip = store.tip()
    engine = EMBEDDED if tip is None else store.record(tip[0]).engine
    if engine not in ENGINES:
        raise StoreError(
            f"{store.folder}: was made by the engine {engine!r}, known are {', '.join(ENGINES)}; "
            "use the matching gridpact release"
        )
    return engine
