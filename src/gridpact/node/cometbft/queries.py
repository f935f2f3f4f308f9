"""Reads over ABCI: public values with proofs. Whoever reaches CometBFT's port may ask.

Personal values are not told: their owners have proof files, and the operator has the ledger.
"""

from __future__ import annotations

from gridpact.codec import encode
from gridpact.contracts import Application
from gridpact.ledger import Privacy
from gridpact.ledger.proofs import StateClaim, proof_bytes, state_proof
from gridpact.node.cometbft.messages import RequestQuery, ResponseQuery
from gridpact.node.store import LedgerStore
from gridpact.node.tables import NAMESPACE_BY_NAME

STATE = "/state"
"""`data` is a key; the answer its value or, with `prove`, a proof file."""
RECEIPT = "/receipt"
"""`data` is a transaction id; the answer its receipt."""
UNKNOWN_PATH, UNKNOWN_KEY, PERSONAL, NO_BLOCK = 1, 2, 3, 4
"""Codes of answers that are none."""


def answer_query(
    application: Application, store: LedgerStore, height: int, request: RequestQuery
) -> ResponseQuery:
    """Answer a read of the last state; older ones are not kept.

    Args:
        application: between two blocks.
        store: its ledger.
        height: of CometBFT.
        request: see `STATE` and `RECEIPT`.
    """
    if request.path == RECEIPT:
        found = store.find_transaction(request.data)
        if found is None:
            return _none(UNKNOWN_KEY, "no such transaction is in a block", height)
        return ResponseQuery(0, "", request.data, encode(found[1]), height)
    if request.path != STATE:
        return _none(UNKNOWN_PATH, f"{request.path!r} is not {STATE} or {RECEIPT}", height)
    try:
        key = request.data.decode("ascii")
    except UnicodeDecodeError:
        return _none(UNKNOWN_KEY, "a key is ASCII text", height)
    namespace = NAMESPACE_BY_NAME.get(key.partition("/")[0])
    if namespace is None:
        return _none(UNKNOWN_KEY, f"{key!r} is no kind of key", height)
    if namespace.privacy is not Privacy.PUBLIC:
        return _none(PERSONAL, "personal values are not told here; take a proof file", height)
    return _state(application, store, height, key, prove=request.prove)


def _state(
    application: Application, store: LedgerStore, height: int, key: str, *, prove: bool
) -> ResponseQuery:
    entry, path = application.query(key)
    value = None if entry is None else encode(entry.value)
    if prove and application.height == 0:
        return _none(NO_BLOCK, "nothing can be proved before the first block", height)
    if prove:
        record = store.record(application.height)
        claim = StateClaim(key=key, salt=b"", value=value, path=encode(path), documents=[])
        proof = proof_bytes(state_proof(record, claim))
        return ResponseQuery(0, "", key.encode(), proof, height)
    if value is None:
        return _none(UNKNOWN_KEY, f"{key!r} is not in the state", height)
    return ResponseQuery(0, "", key.encode(), value, height)


def _none(code: int, text: str, height: int) -> ResponseQuery:
    return ResponseQuery(code=code, log=text, height=height)
