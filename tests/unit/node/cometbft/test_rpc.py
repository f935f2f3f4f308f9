"""Sending to CometBFT: answers in every form of HTTP that Go uses, and answers that are none."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from gridpact.node.cometbft import rpc as rpc_module
from gridpact.node.cometbft.rpc import RpcClient, RpcError

OK = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
TAKEN = '{"jsonrpc":"2.0","id":0,"result":{"code":0,"hash":"AA"}}'
KNOWN = '{"jsonrpc":"2.0","id":1,"error":{"code":-32603,"message":"Internal","data":"known"}}'


def plain(body: str) -> bytes:
    return f"{OK}Content-Length: {len(body)}\r\n\r\n{body}".encode()


def chunked(body: str) -> bytes:
    half = len(body) // 2
    parts = "".join(f"{len(part):x}\r\n{part}\r\n" for part in (body[:half], body[half:], ""))
    return f"{OK}Transfer-Encoding: chunked\r\n\r\n{parts}".encode()


async def asked(answers: list[bytes], calls: int = 1) -> tuple[list[list[str]], list[bytes]]:
    """What a client makes of these answers on one connection, and the bodies that it sent."""
    bodies: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in answers:
            head = await reader.readuntil(b"\r\n\r\n")
            (length,) = [
                int(line.partition(b":")[2])
                for line in head.split(b"\r\n")
                if line.lower().startswith(b"content-length")
            ]
            bodies.append(await reader.readexactly(length))
            writer.write(answer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    client = RpcClient("127.0.0.1", server.sockets[0].getsockname()[1])
    try:
        return [await client.broadcast([b"one", b"two"]) for _ in range(calls)], bodies
    finally:
        client.close()
        server.close()


@pytest.mark.parametrize("form", [plain, chunked])
def test_both_forms_of_answers_are_read_on_one_connection(form: type) -> None:
    both = f"[{TAKEN},{KNOWN}]"
    told, bodies = asyncio.run(asked([form(both), form(both)], 2))
    assert told == [["", "Internal: known"]] * 2
    calls = msgspec.json.decode(bodies[0])
    assert [call["params"]["tx"] for call in calls] == ["b25l", "dHdv"], "in order, in base64"
    assert {call["method"] for call in calls} == {"broadcast_tx_async"}


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"junk\r\n\r\n",
        plain(""),
        plain("not JSON"),
        plain(f"[{TAKEN}]"),
        plain("[1, 2]"),
        plain('[{"error": 1}, {}]'),
        f"{OK}Content-Length: 99\r\n\r\n[".encode(),
        f"{OK}Content-Length: {10**9}\r\n\r\n[".encode(),
        f"{OK}Content-Length: -5\r\n\r\n[".encode(),
        f"{OK}Transfer-Encoding: chunked\r\n\r\nzz\r\n".encode(),
        f"{OK}Transfer-Encoding: chunked\r\n\r\n{10**9:x}\r\n".encode(),
        b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n",
    ],
)
def test_what_is_no_answer_is_an_error(answer: bytes) -> None:
    with pytest.raises(RpcError):
        asyncio.run(asked([answer]))


def test_silence_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rpc_module, "ANSWER_WAITS_S", 0.1)

    async def silent() -> None:
        ended = asyncio.Event()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await ended.wait()
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        client = RpcClient("127.0.0.1", server.sockets[0].getsockname()[1])
        with pytest.raises(RpcError, match="Timeout"):
            await client.call("status")
        ended.set()
        server.close()

    asyncio.run(silent())
