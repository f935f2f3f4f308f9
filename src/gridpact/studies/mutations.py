"""Broken bytes: what can be wrong with a transaction before anybody looks at the state.

Each mutation takes a well-formed transaction apart, breaks one thing, signs again where the fault
lies deeper than the signature, and says which verdicts it must meet. Blind ones only know bytes,
the others know the grammar. Nothing here knows an engine.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

import msgspec
from nacl.bindings import crypto_sign

from gridpact.codec import sha256
from gridpact.contracts.genesis import Limits
from gridpact.ledger.envelope import SALT_BYTES, signing_digest
from gridpact.model import FIRST_RULE_VERDICT, Verdict
from gridpact.node import SimulatedKeys

VERSION, KIND, SENDER, NONCE, EXPIRY, PUBLIC, PAYLOAD_HASH, SIGNATURE = range(8)
"""Fields of an envelope."""
SIGNATURE_BYTES = 64
GROUP_ORDER = 2**252 + 27742317777372353535851937790883648493
"""Of Ed25519: S and S + GROUP_ORDER satisfy the same equation; only the smaller one counts."""
SMALL_ORDER_POINTS = tuple(
    bytes.fromhex(text)
    for text in (
        "0100000000000000000000000000000000000000000000000000000000000000",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0000000000000000000000000000000000000000000000000000000000000080",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    )
)
"""Keys under which a careless check accepts a signature without any secret."""
EXTREMES = (0, 1, 2, 127, 128, 2**31 - 1, 2**31, 2**32, 2**53 + 1, 2**62, 2**62 + 1, 2**63 - 1)
"""Integers at the edges of what some field allows."""
BEYOND = (-1, -(2**31), -(2**63), 2**63, 2**64 - 1)
"""Integers that no field allows."""
BAD_TEXTS = ("\u00e4", "a\n", "x" * 201, "\x00", "\u2028", "\U0001f50c")
"""Not a name and not a text either."""
BAD_NAMES = (*BAD_TEXTS, "", "Upper", "a/b", "-a", ".a", "a b", "x" * 49)

ENVELOPE_VERDICTS = frozenset(
    verdict for verdict in Verdict if Verdict.ACCEPTED < verdict < FIRST_RULE_VERDICT
)
"""What may be said without the rules: nothing is used, nothing changes."""

Values = list[object]
Breaker = Callable[[Values, Random], bytes | None]


@dataclass(frozen=True, slots=True)
class Sample:
    """A well-formed transaction, and what is needed to write it again with a fault."""

    fields: tuple[object, ...]
    """The envelope's, without the signature."""
    sealed: bytes
    envelope: bytes


@dataclass(frozen=True, slots=True)
class Mutant:
    """A broken transaction."""

    mutation: str
    """Name of what was broken, and where."""
    envelope: bytes
    sealed: bytes
    expected: frozenset[Verdict]
    """Verdicts that it may meet."""


@dataclass(frozen=True, slots=True)
class Forge:
    """What a mutation works with."""

    random: Random
    genesis_hash: bytes
    keys: SimulatedKeys
    limits: Limits
    samples: list[Sample]
    """All by senders that never send, so their nonces stay unused."""
    small_order: dict[str, bytes]
    """Parties registered with a key of `SMALL_ORDER_POINTS`."""

    def sample(self, *, payload: bool | None = None) -> Sample:
        """One of the samples; with or without payload if that matters."""
        fitting = [s for s in self.samples if payload is None or bool(s.sealed) == payload]
        return self.random.choice(fitting)

    def signed(self, fields: Sequence[object], signer: str | None = None) -> bytes:
        """The envelope with these fields, signed by its sender or by somebody else."""
        raw = pack([*fields, bytes(SIGNATURE_BYTES)])
        key = self.keys.pair(str(fields[SENDER]) if signer is None else signer)[1]
        digest = signing_digest(self.genesis_hash, raw)
        return raw[:-SIGNATURE_BYTES] + crypto_sign(digest, key)[:SIGNATURE_BYTES]

    def resigned(self, sample: Sample, field: int, value: object) -> bytes:
        """The sample with another value in one field, signed again by its sender."""
        fields = list(sample.fields)
        fields[field] = value
        return self.signed(fields)


Forged = tuple[bytes, bytes, Verdict]
"""(envelope, sealed payload, the verdict)."""
Mutation = Callable[[Forge], Forged]


def pack(value: object) -> bytes:
    """Canonical MessagePack of plain values."""
    return msgspec.msgpack.encode(value)


def values_of(data: bytes) -> Values:
    """The plain values of an encoded struct."""
    values: Values = msgspec.msgpack.decode(data)
    return values


# Breaking the shape of an encoded struct, whichever it is


def other_forms(value: object) -> list[bytes]:
    """All encodings of a number, of bytes, text or an array besides the canonical one."""
    forms: list[bytes] = []
    if isinstance(value, int):
        forms = [
            tag + value.to_bytes(size, "big", signed=signed)
            for tag, size, signed in (
                (b"\xcc", 1, False),
                (b"\xcd", 2, False),
                (b"\xce", 4, False),
                (b"\xcf", 8, False),
                (b"\xd0", 1, True),
                (b"\xd1", 2, True),
                (b"\xd2", 4, True),
                (b"\xd3", 8, True),
            )
            if 0 <= value < 2 ** (8 * size - signed)
        ]
    elif isinstance(value, bytes | str):
        data = value.encode() if isinstance(value, str) else value
        tags = b"\xd9\xda\xdb" if isinstance(value, str) else b"\xc4\xc5\xc6"
        forms = [
            tags[i : i + 1] + len(data).to_bytes(size, "big") + data
            for i, size in enumerate((1, 2, 4))
            if len(data) < 2 ** (8 * size)
        ]
    elif isinstance(value, list):
        items = b"".join(map(pack, value))
        forms = [
            b"\xdc" + struct.pack(">H", len(value)) + items,
            b"\xdd" + struct.pack(">I", len(value)) + items,
        ]
    return [form for form in forms if form != pack(value)]


def _place(values: Values, random: Random, *types: type) -> int | None:
    """Position of a value of one of these types, chosen by chance."""
    places = [i for i, value in enumerate(values) if type(value) in types]
    return random.choice(places) if places else None


def _with_raw(values: Values, place: int, raw: bytes) -> bytes:
    """The array with one value replaced by ready-made bytes."""
    before, after = map(pack, values[:place]), map(pack, values[place + 1 :])
    return b"".join([bytes([0x90 | len(values)]), *before, raw, *after])


def _replaced(values: Values, place: int | None, value: object) -> bytes | None:
    return None if place is None else _with_raw(values, place, pack(value))


def _truncated(values: Values, random: Random) -> bytes:
    data = pack(values)
    return data[: random.randrange(len(data))]


def _trailing(values: Values, random: Random) -> bytes:
    return pack(values) + random.randbytes(random.randint(1, 8))


def _longer_form(values: Values, random: Random) -> bytes | None:
    place = _place(values, random, int, bytes, str, list)
    if place is None:
        return None
    return _with_raw(values, place, random.choice(other_forms(values[place])))


def _longer_header(values: Values, random: Random) -> bytes:
    return random.choice(other_forms(values))


def _surplus_field(values: Values, random: Random) -> bytes:
    surplus: Values = [0, 1, "x", b"", None, [], 1.5]
    extra = random.choice(surplus)
    place = random.randint(0, len(values))
    return pack([*values[:place], extra, *values[place:]])


def _missing_field(values: Values, random: Random) -> bytes:
    place = random.randrange(len(values))
    return pack(values[:place] + values[place + 1 :])


def _float_for_number(values: Values, random: Random) -> bytes | None:
    place = _place(values, random, int)
    number = 0 if place is None else values[place]
    return _replaced(values, place, float(number) if isinstance(number, int) else 0.5)


def _bool_for_number(values: Values, random: Random) -> bytes | None:
    return _replaced(values, _place(values, random, int), random.random() < 0.5)


def _nil(values: Values, random: Random) -> bytes | None:
    return _replaced(values, random.randrange(len(values)), None)


def _text_for_bytes(values: Values, random: Random) -> bytes | None:
    return _replaced(values, _place(values, random, bytes), "text")


def _bytes_for_text(values: Values, random: Random) -> bytes | None:
    return _replaced(values, _place(values, random, str), b"bytes")


def _beyond_range(values: Values, random: Random) -> bytes | None:
    return _replaced(values, _place(values, random, int), random.choice(BEYOND))


def _bad_text(values: Values, random: Random) -> bytes | None:
    return _replaced(values, _place(values, random, str), random.choice(BAD_TEXTS))


def _bad_utf8(values: Values, random: Random) -> bytes | None:
    place = _place(values, random, str)
    bad = random.choice([b"\xff", b"a\xc3", b"\xed\xa0\x80", b"\xc0\xaf", b"\xf5\x80\x80\x80"])
    return None if place is None else _with_raw(values, place, bytes([0xA0 | len(bad)]) + bad)


def _map_for_array(values: Values, random: Random) -> bytes:
    return pack(dict(enumerate(values)))


def _extension(values: Values, random: Random) -> bytes:
    raw = random.choice([b"\xd4\x05\x00", b"\xd6\xff\x00\x00\x00\x00", b"\xc7\x00\x01", b"\xc1"])
    return _with_raw(values, random.randrange(len(values)), raw)


def _deep(values: Values, random: Random) -> bytes:
    depth = random.choice([2, 64, 1500])
    return _with_raw(values, random.randrange(len(values)), b"\x91" * depth + b"\xc0")


def _false_length(values: Values, random: Random) -> bytes:
    head = random.choice([b"\xdd", b"\xdb", b"\xc6", b"\xdf"]) + random.choice(
        [b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\x00\x01\x00\x00"]
    )
    return head + pack(values)[1:]


BREAKERS: dict[str, Breaker] = {
    "truncated": _truncated,
    "trailing bytes": _trailing,
    "longer form": _longer_form,
    "longer header": _longer_header,
    "surplus field": _surplus_field,
    "missing field": _missing_field,
    "float for number": _float_for_number,
    "bool for number": _bool_for_number,
    "nil": _nil,
    "text for bytes": _text_for_bytes,
    "bytes for text": _bytes_for_text,
    "number beyond range": _beyond_range,
    "bad text": _bad_text,
    "bad UTF-8": _bad_utf8,
    "map for array": _map_for_array,
    "extension type": _extension,
    "deep nesting": _deep,
    "false length": _false_length,
}


def broken_shape(forge: Forge, data: bytes) -> tuple[str, bytes]:
    """(how, bytes) of an encoded struct that is none any more."""
    values = values_of(data)
    while True:
        how = forge.random.choice(list(BREAKERS))
        broken = BREAKERS[how](values, forge.random)
        if broken is not None:
            return how, broken


def broken_envelope(forge: Forge) -> Mutant:
    """Not an envelope."""
    sample = forge.sample()
    how, envelope = broken_shape(forge, sample.envelope)
    expected = frozenset({Verdict.MALFORMED_ENVELOPE})
    return Mutant(f"envelope: {how}", envelope, sample.sealed, expected)


def broken_body(forge: Forge) -> Mutant:
    """A good envelope around a public part that is not one."""
    sample = forge.sample()
    how, public = broken_shape(forge, bytes_of(sample.fields[PUBLIC]))
    envelope = forge.resigned(sample, PUBLIC, public)
    expected = frozenset({Verdict.MALFORMED_BODY})
    return Mutant(f"body: {how}", envelope, sample.sealed, expected)


def bytes_of(value: object) -> bytes:
    """A field that holds bytes."""
    return value if isinstance(value, bytes) else b""


# Faults that only who knows the grammar makes, each with its one verdict


def _bad_sender(forge: Forge) -> Forged:
    sample = forge.sample()
    fields = list(sample.fields)
    fields[SENDER] = forge.random.choice(BAD_NAMES)
    return forge.signed(fields), sample.sealed, Verdict.MALFORMED_ENVELOPE


def _bad_nonce(forge: Forge) -> Forged:
    sample = forge.sample()
    nonce = forge.random.choice([0, 2**62 + 1, 2**63 - 1, *BEYOND])
    return forge.resigned(sample, NONCE, nonce), sample.sealed, Verdict.MALFORMED_ENVELOPE


def _bad_length(forge: Forge) -> Forged:
    sample = forge.sample()
    signature = forge.random.randbytes(forge.random.choice([0, 1, 63, 65, 128]))
    raw = pack([*sample.fields, signature])
    return raw, sample.sealed, Verdict.MALFORMED_ENVELOPE


def _long_hash(forge: Forge) -> Forged:
    sample = forge.sample()
    envelope = forge.resigned(sample, PAYLOAD_HASH, forge.random.randbytes(33))
    return envelope, sample.sealed, Verdict.MALFORMED_ENVELOPE


def _largest_size(forge: Forge) -> Forged:
    sample = forge.sample()
    padding = bytes(forge.limits.envelope_bytes - len(sample.envelope))
    return sample.envelope + padding, sample.sealed, Verdict.MALFORMED_ENVELOPE


def _oversized(forge: Forge) -> Forged:
    sample = forge.sample()
    size = forge.limits.envelope_bytes + forge.random.choice([1, 1, 1000])
    return sample.envelope.ljust(size, b"\x00"), sample.sealed, Verdict.OVERSIZED


def _oversized_body(forge: Forge) -> Forged:
    sample = forge.sample()
    envelope = forge.resigned(sample, PUBLIC, bytes(forge.limits.envelope_bytes))
    return envelope, sample.sealed, Verdict.OVERSIZED


def _oversized_payload(forge: Forge) -> Forged:
    sample = forge.sample()
    return sample.envelope, bytes(forge.limits.payload_bytes + 1), Verdict.OVERSIZED


def _unknown_version(forge: Forge) -> Forged:
    sample = forge.sample()
    version = forge.random.choice([0, 2, 3, 255, 2**63 - 1])
    return forge.resigned(sample, VERSION, version), sample.sealed, Verdict.UNKNOWN_VERSION


def _unknown_kind(forge: Forge) -> Forged:
    sample = forge.sample()
    kind = forge.random.choice([0, 6, 9, 22_000, 2**31, 2**63 - 1])
    return forge.resigned(sample, KIND, kind), sample.sealed, Verdict.UNKNOWN_KIND


def _no_payload(forge: Forge) -> Forged:
    return forge.sample(payload=True).envelope, b"", Verdict.PAYLOAD_MISMATCH


def _surplus_payload(forge: Forge) -> Forged:
    sealed = forge.random.randbytes(forge.random.randint(1, 80))
    return forge.sample(payload=False).envelope, sealed, Verdict.PAYLOAD_MISMATCH


def _flipped_payload(forge: Forge) -> Forged:
    sample = forge.sample(payload=True)
    sealed = _flip(sample.sealed, forge.random.randrange(8 * len(sample.sealed)))
    return sample.envelope, sealed, Verdict.PAYLOAD_MISMATCH


def _other_salt(forge: Forge) -> Forged:
    sample = forge.sample(payload=True)
    sealed = forge.random.randbytes(SALT_BYTES) + sample.sealed[SALT_BYTES:]
    return sample.envelope, sealed, Verdict.PAYLOAD_MISMATCH


def _longer_payload(forge: Forge) -> Forged:
    sample = forge.sample(payload=True)
    return sample.envelope, sample.sealed + b"\x00", Verdict.PAYLOAD_MISMATCH


def _no_hash(forge: Forge) -> Forged:
    sample = forge.sample(payload=True)
    sealed = forge.random.choice([b"", sample.sealed])
    return forge.resigned(sample, PAYLOAD_HASH, b""), sealed, Verdict.PAYLOAD_MISMATCH


def _short_hash(forge: Forge) -> Forged:
    sample = forge.sample(payload=True)
    short = sha256(sample.sealed)[: forge.random.randint(1, 31)]
    return forge.resigned(sample, PAYLOAD_HASH, short), sample.sealed, Verdict.PAYLOAD_MISMATCH


def _surplus_hash(forge: Forge) -> Forged:
    sealed = forge.random.randbytes(40)
    envelope = forge.resigned(forge.sample(payload=False), PAYLOAD_HASH, sha256(sealed))
    return envelope, sealed, Verdict.PAYLOAD_MISMATCH


def _unknown_sender(forge: Forge) -> Forged:
    sample = forge.sample()
    envelope = forge.resigned(sample, SENDER, f"nobody-{forge.random.randrange(10**6)}")
    return envelope, sample.sealed, Verdict.UNKNOWN_SENDER


def _nonce_ahead(forge: Forge) -> Forged:
    sample = forge.sample()
    nonce = forge.random.choice([2, 3, 1000, 2**31, 2**62])
    return forge.resigned(sample, NONCE, nonce), sample.sealed, Verdict.NONCE_AHEAD


def _badly_signed(sample: Sample, signature: bytes) -> Forged:
    envelope = sample.envelope[:-SIGNATURE_BYTES] + signature
    return envelope, sample.sealed, Verdict.BAD_SIGNATURE


def _other_key(forge: Forge) -> Forged:
    sample = forge.sample()
    return forge.signed(sample.fields, "somebody-else"), sample.sealed, Verdict.BAD_SIGNATURE


def _other_chain(forge: Forge) -> Forged:
    sample = forge.sample()
    elsewhere = _flip(forge.genesis_hash, forge.random.randrange(256))
    key = forge.keys.pair(str(sample.fields[SENDER]))[1]
    signature = crypto_sign(signing_digest(elsewhere, sample.envelope), key)[:SIGNATURE_BYTES]
    return _badly_signed(sample, signature)


def _flipped_signature(forge: Forge) -> Forged:
    sample = forge.sample()
    place = forge.random.randrange(8 * SIGNATURE_BYTES)
    return _badly_signed(sample, _flip(sample.envelope[-SIGNATURE_BYTES:], place))


def _zero_signature(forge: Forge) -> Forged:
    return _badly_signed(forge.sample(), bytes(SIGNATURE_BYTES))


def _borrowed_signature(forge: Forge) -> Forged:
    one, other = forge.random.sample(forge.samples, 2)
    return _badly_signed(one, other.envelope[-SIGNATURE_BYTES:])


def _malleable_signature(forge: Forge) -> Forged:
    """The other solution of the same equation: S + group order."""
    sample = forge.sample()
    signature = sample.envelope[-SIGNATURE_BYTES:]
    s = int.from_bytes(signature[32:], "little") + GROUP_ORDER
    return _badly_signed(sample, signature[:32] + s.to_bytes(32, "little"))


def _small_order_point(forge: Forge) -> Forged:
    return _badly_signed(forge.sample(), forge.random.choice(SMALL_ORDER_POINTS) + bytes(32))


def _small_order_key(forge: Forge) -> Forged:
    """By a party whose key is a point of small order: nobody needs a secret to 'sign' for it."""
    sample = forge.sample()
    party = forge.random.choice(list(forge.small_order))
    fields = list(sample.fields)
    fields[SENDER] = party
    point = forge.random.choice([SMALL_ORDER_POINTS[0], forge.small_order[party]])
    return pack([*fields, point + bytes(32)]), sample.sealed, Verdict.BAD_SIGNATURE


GRAMMAR: dict[str, Mutation] = {
    "invalid sender": _bad_sender,
    "invalid nonce": _bad_nonce,
    "signature of another length": _bad_length,
    "payload hash of 33 bytes": _long_hash,
    "garbage up to the largest size": _largest_size,
    "oversized envelope": _oversized,
    "oversized body": _oversized_body,
    "oversized payload": _oversized_payload,
    "unknown version": _unknown_version,
    "unknown kind": _unknown_kind,
    "payload missing": _no_payload,
    "payload surplus": _surplus_payload,
    "payload flipped": _flipped_payload,
    "payload under another salt": _other_salt,
    "payload with trailing byte": _longer_payload,
    "payload hash missing": _no_hash,
    "payload hash too short": _short_hash,
    "payload hash surplus": _surplus_hash,
    "unknown sender": _unknown_sender,
    "nonce ahead": _nonce_ahead,
}
"""Judged without a signature, but for the last one."""

SIGNATURES: dict[str, Mutation] = {
    "signed by another key": _other_key,
    "signed for another chain": _other_chain,
    "signature flipped": _flipped_signature,
    "signature of zeros": _zero_signature,
    "signature of another transaction": _borrowed_signature,
    "signature with S + L": _malleable_signature,
    "signature with a point of small order": _small_order_point,
    "signed under a key of small order": _small_order_key,
}


def by_name(forge: Forge, table: dict[str, Mutation], name: str) -> Mutant:
    """One mutation out of a table."""
    envelope, sealed, verdict = table[name](forge)
    return Mutant(name, envelope, sealed, frozenset({verdict}))


# Blind mutations


def _flip(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit >> 3] ^= 1 << (bit & 7)
    return bytes(changed)


def _blind_bytes(random: Random, data: bytes, other: bytes) -> bytes:
    """`data` after one careless change, perhaps with a piece of `other`."""
    changed = bytearray(data)
    start = random.randrange(len(data) + 1)
    end = min(len(data), start + random.randint(1, 16))
    match random.randrange(6):
        case 0:
            for _ in range(random.randint(1, 8)):
                if changed:
                    changed[random.randrange(len(changed))] ^= 1 << random.randrange(8)
        case 1:
            del changed[start:end]
        case 2:
            changed[start:start] = random.randbytes(random.randint(1, 16))
        case 3:
            changed[start:start] = changed[start:end]
        case 4:
            changed[start:end] = random.choice(b"\x00\x7f\x80\xff").to_bytes() * (end - start)
        case _:
            changed[start:] = other[min(start, len(other)) :]
    return bytes(changed)


def blind(forge: Forge) -> Mutant:
    """Bytes changed without knowing what they mean. Nothing that is left can be valid."""
    random = forge.random
    valid = {sample.envelope for sample in forge.samples}
    while True:
        one, other = random.sample(forge.samples, 2)
        envelope, sealed = one.envelope, one.sealed
        if random.random() < 0.8:
            envelope = _blind_bytes(random, envelope, other.envelope)
        else:
            sealed = _blind_bytes(random, sealed, other.sealed)
        changed = envelope not in valid or (envelope == one.envelope and sealed != one.sealed)
        if changed:
            return Mutant("blind", envelope, sealed, ENVELOPE_VERDICTS)
