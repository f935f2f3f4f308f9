"""How long a node waits for its signer: `python tests/signing_bench.py [FOLDER]`.

One process asks, one signs, as in a running node. FOLDER decides which disk is measured.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import quantiles
from time import perf_counter

import msgspec

from gridpact.consensus.raft.messages import Append, AppendReply, Entry
from gridpact.node.signing import Kind, SignerClient, SignerProcess, make_key
from gridpact.node.signing.keyfile import key_path, unlock
from gridpact.node.signing.raft_signer import FRAME_TAG

CHAIN, NAME = bytes(32), "a"
ROUNDS = 5_000


def measure(what: str, call: Callable[[int], object], rounds: int = ROUNDS) -> None:
    """Print the median and the 99th percentile of one call, in milliseconds."""
    times = []
    for i in range(rounds):
        begun = perf_counter()
        call(i)
        times.append((perf_counter() - begun) * 1e3)
    cuts = quantiles(times, n=100)
    sys.stdout.write(f"{what:<42}{cuts[49]:>9.3f}{cuts[98]:>9.3f}\n")


def main(parent: str | None) -> None:
    """Measure, and leave nothing behind."""
    with tempfile.TemporaryDirectory(dir=parent) as name:
        folder = Path(name) / "signer"
        make_key(folder, kind=Kind.RAFT, chain=CHAIN, name=NAME, passphrase=None)
        prefix = FRAME_TAG + CHAIN + b"a\x00b\x00"
        encode = msgspec.msgpack.encode
        reply = prefix + encode(AppendReply(1, accepted=True, index=7, question=3))
        entry = Entry(1, configuration=False, payload=bytes(8192))
        batch = prefix + encode(Append(1, 1, 1, [entry] * 60, 0, 0))
        process = SignerProcess(folder)
        client = SignerClient(folder, CHAIN, NAME)
        try:
            client.begin(1, NAME, 0)
            sys.stdout.write(f"{'ms':<42}{'median':>9}{'p99':>9}\n")
            measure("sign a reply, over the socket", lambda _: client.sign(reply))
            key = unlock(key_path(folder, 1))
            measure("sign a reply, in this process, no rules", lambda _: key.sign(reply))
            measure("sign 60 entries, 490 kB, over the socket", lambda _: client.sign(batch), 500)
            measure("the same in this process, no rules", lambda _: key.sign(batch), 500)
            measure("advance that changes nothing", lambda _: client.advance(1, NAME, 0))
            measure("advance, durable", lambda i: client.advance(1, NAME, i + 1), 500)
        finally:
            client.close()
            process.stop()


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else None)
