"""The signature worker: a script of its own that `verifier` starts as a process.

It reads frames of a count and then key || digest || signature per check on standard input and
answers one byte per check. It ends when its input closes, also when its parent is killed.
"""

from __future__ import annotations

import os
import struct
import sys
from typing import BinaryIO

from nacl.bindings import crypto_sign_open
from nacl.exceptions import BadSignatureError

HEADER = struct.Struct(">I")
CHECK_BYTES = 32 + 32 + 64


def verify_signature(public_key: bytes, digest: bytes, signature: bytes) -> bool:
    """Whether `signature` is by `public_key` over `digest`: Ed25519 as libsodium checks it."""
    try:
        crypto_sign_open(signature + digest, public_key)
    except (BadSignatureError, ValueError):
        return False
    return True


def serve(source: BinaryIO, sink: BinaryIO) -> None:
    """Answer frames until the input ends."""
    while len(header := source.read(HEADER.size)) == HEADER.size:
        (count,) = HEADER.unpack(header)
        data = source.read(count * CHECK_BYTES)
        if len(data) != count * CHECK_BYTES:
            return
        answer = bytearray(count)
        for i in range(count):
            at = i * CHECK_BYTES
            answer[i] = verify_signature(
                data[at : at + 32], data[at + 32 : at + 64], data[at + 64 : at + 128]
            )
        sink.write(answer)
        sink.flush()


if __name__ == "__main__":
    try:
        serve(sys.stdin.buffer, sys.stdout.buffer)
    except BrokenPipeError:
        os._exit(0)  # nobody reads any more; the usual exit would complain about the pipe
