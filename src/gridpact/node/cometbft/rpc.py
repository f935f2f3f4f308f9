"""CometBFT's JSON-RPC port, for sending transactions: HTTP/1.1 on one connection that is kept."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Sequence
from typing import Any

import msgspec

from gridpact.errors import GridpactError

BATCH_MAX = 500
"""Transactions per request; the node's configuration allows as many."""
ANSWER_BYTES_MAX = 8 * 2**20
ANSWER_WAITS_S = 30.0


class RpcError(GridpactError):
    """CometBFT does not answer, or not what was asked."""


class RpcClient:
    """Sends to one node. Not for use by two tasks at once."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    def close(self) -> None:
        """End the connection."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None

    async def broadcast(self, envelopes: Sequence[bytes]) -> list[str]:
        """Offer transactions to the mempool in this order; at most `BATCH_MAX`.

        It does not wait for the application's check, which CometBFT asks for in bundles 20 ms
        apart: the application is ours and knows what it said.

        Returns:
            For each why CometBFT itself did not take it; empty when it asks the application.
        Raises:
            RpcError: no node there, or an answer that is none; some may have been taken.
        """
        calls = [
            {
                "jsonrpc": "2.0",
                "id": number,
                "method": "broadcast_tx_async",
                "params": {"tx": base64.b64encode(envelope).decode()},
            }
            for number, envelope in enumerate(envelopes)
        ]
        answers = await self._call(calls)
        if not isinstance(answers, list):
            answers = [answers]
        if len(answers) != len(calls):
            raise RpcError(f"{len(answers)} answers to {len(calls)} calls: {answers[:1]}")
        return [_error(answer) for answer in answers]

    async def call(self, method: str, **params: object) -> Any:
        """The result of one call.

        Raises:
            RpcError: no node there, or it refused.
        """
        answer = await self._call({"jsonrpc": "2.0", "id": 0, "method": method, "params": params})
        if not isinstance(answer, dict) or "result" not in answer:
            raise RpcError(f"{method}: {answer}")
        return answer["result"]

    async def _call(self, calls: object) -> Any:
        body = msgspec.json.encode(calls)
        head = f"POST / HTTP/1.1\r\nHost: {self._host}\r\nContent-Type: application/json\r\n"
        try:
            async with asyncio.timeout(ANSWER_WAITS_S):
                if self._streams is None:
                    self._streams = await asyncio.open_connection(self._host, self._port)
                reader, writer = self._streams
                writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
                await writer.drain()
                return msgspec.json.decode(await _read_answer(reader))
        except (OSError, EOFError, ValueError, msgspec.MsgspecError, TimeoutError) as error:
            self.close()
            raise RpcError(f"{self._host}:{self._port}: {error!r}") from error
        except RpcError:
            self.close()
            raise


def _error(answer: Any) -> str:
    if isinstance(answer, dict) and isinstance(answer.get("result"), dict):
        return ""
    error = answer.get("error") if isinstance(answer, dict) else None
    if not isinstance(error, dict):
        raise RpcError(f"an answer with neither result nor error: {answer}")
    return f"{error.get('message')}: {error.get('data')}"


async def _read_answer(reader: asyncio.StreamReader) -> bytes:
    """The body of a response, by its length or in chunks."""
    status = await reader.readuntil(b"\r\n")
    headers: dict[bytes, bytes] = {}
    while (line := await reader.readuntil(b"\r\n")) != b"\r\n":
        name, _, value = line.partition(b":")
        headers[name.strip().lower()] = value.strip().lower()
    if headers.get(b"transfer-encoding") == b"chunked":
        body = bytearray()
        while size := int((await reader.readuntil(b"\r\n")).strip(), 16):
            if len(body) + size > ANSWER_BYTES_MAX:
                raise RpcError(f"an answer above {ANSWER_BYTES_MAX} bytes")
            body += await reader.readexactly(size)
            await reader.readexactly(2)
        await reader.readuntil(b"\r\n")
        data = bytes(body)
    else:
        size = int(headers.get(b"content-length", b"0"))
        if not 0 <= size <= ANSWER_BYTES_MAX:
            raise RpcError(f"an answer of {size} bytes; at most {ANSWER_BYTES_MAX} are read")
        data = await reader.readexactly(size)
    if b" 200 " not in status and not data:
        raise RpcError(status.decode("latin-1").strip())
    return data
