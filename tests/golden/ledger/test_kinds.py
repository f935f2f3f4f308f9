"""The bytes of every kind and of every struct whose hash counts.

A tag never changes its meaning and a shape never changes under its tag. If this file differs, old
ledgers cannot be read any more: that is a new kind, or a state-breaking entry in the CHANGELOG.
Keys, salts and the chain are constants, so nothing here depends on simulated keys.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
from nacl.bindings import crypto_sign_open, crypto_sign_seed_keypair

from gridpact.codec import Wire, decode, encode, sha256, tagged_hash
from gridpact.contracts.bodies import (
    AllotMemberCarbon,
    AllotSlotCarbon,
    BatchPayload,
    BidPayload,
    CancelOrder,
    Claim,
    CloseAccount,
    Curtail,
    CurtailedTrade,
    CurtailmentPayload,
    Deposit,
    Endorsement,
    GrantRole,
    JudgeResults,
    Kind,
    MemberCarbonPayload,
    MoneyPayload,
    MovePhase,
    OrderPayload,
    ParticipantPayload,
    PlaceBid,
    PlaceOrder,
    ProposeClearing,
    PublishRates,
    ReadingPayload,
    RegisterMeter,
    RegisterParticipant,
    ReportBatch,
    ReportReading,
    RequestTrace,
    RevealOrder,
    RotateKey,
    SealOrder,
    SendPackage,
    SendResult,
    SetTariff,
    SlotReading,
    Withdraw,
    order_commitment,
)
from gridpact.contracts.genesis import (
    APP_VERSION,
    GENESIS_VERSION,
    BargainRules,
    BargainWeight,
    FallbackRule,
    Genesis,
    GenesisParty,
    Limits,
    Market,
    Validator,
    genesis_hash,
)
from gridpact.contracts.keys import NAMESPACES
from gridpact.contracts.kinds import KINDS
from gridpact.ledger import Account, Secret
from gridpact.ledger.blocks import (
    FORMAT_VERSION,
    EngineState,
    Proposal,
    Receipt,
    Record,
    engine_root,
    proposal_hash,
    record_hash,
    validators_id,
)
from gridpact.ledger.envelope import (
    ENVELOPE_VERSION,
    Envelope,
    sealed_payload,
    sign_envelope,
    signing_digest,
)
from gridpact.model import (
    AccountMode,
    Agreement,
    Bill,
    BillLine,
    CarbonLine,
    CarbonRules,
    CarbonStatement,
    CarbonStore,
    Certificate,
    Clearing,
    Clock,
    Closure,
    Contract,
    CreditNote,
    Flow,
    LineKind,
    MemberCarbon,
    MemberParts,
    Meter,
    Metering,
    MicrogridBid,
    Order,
    Party,
    Phase,
    Quality,
    Reading,
    Role,
    Seal,
    Side,
    SlotBid,
    SlotCarbon,
    SlotContracts,
    SlotOrders,
    SlotReadings,
    SlotSeals,
    SlotState,
    SlotTariff,
    TieRule,
)
from gridpact.model.microgrids import Storage, Turbine
from gridpact.model.trace_jobs import (
    ProviderStanding,
    TraceJob,
    TraceMode,
    TraceNeed,
    TracePayment,
    TraceRight,
    TraceRun,
    TraceSame,
    TraceState,
    TraceTerms,
)

CHAIN, SALT = b"\x11" * 32, b"\x22" * 32
PUBLIC_KEY, SIGNING_KEY = crypto_sign_seed_keypair(b"\x33" * 32)
HASH, KEY = b"\x44" * 32, b"\x55" * 32
SLOT, TIME_MS = 1_699_999_200, 1_699_990_000_123
TARIFF = SlotTariff(300_000, 80_000, 20_000, "north", "2023-11-14")
READING = Reading("ann.meter", "metering", 2, Quality.ESTIMATED, 250, 0)
MICROGRID = MicrogridBid(
    load_wh=[3_000, 2_500],
    green_demand_wh=[2_000, 0],
    renewable_wh=[0, 4_000],
    shortage_micro_per_kwh=60_000,
    turbine=Turbine(15, 85_000, 1_500),
    storage=Storage(1_000, 950, 940, 0, 4_000_000_000, 2_000_000_000, 1_999_000_000),
)
AGREEMENT = Agreement(
    transfer_nano=-660_000_000,
    green_wh=3_000,
    charge_wh=0,
    discharge_wh=250,
    turbine_wh=40,
    sales=[Flow("bob", 500, 340_000)],
    purchases=[Flow("sun", 3_000, 360_000)],
    escrow_nano=720_000_000,
)
PART = MemberCarbon(
    load_wh=100,
    generated_wh=900,
    charged_wh=200,
    discharged_wh=0,
    load_ug=4_000_000,
    charged_ug=8_000_000,
    discharged_ug=0,
)
SLOT_CARBON = SlotCarbon(
    import_mg_per_kwh=400_000,
    imported_wh=450,
    generated_wh=900,
    discharged_wh=0,
    load_wh=1_100,
    charged_wh=200,
    lost_wh=50,
    exported_wh=0,
    imported_ug=180_000_000,
    generated_ug=36_000_000,
    discharged_ug=0,
    load_ug=198_285_714,
    charged_ug=8_000_000,
    lost_ug=9_714_286,
    exported_ug=0,
)

TERMS = TraceTerms(
    first_start_s=SLOT,
    slots=4,
    substations=["north", "south"],
    providers=["cloud-1", "cloud-2", "cloud-3"],
    mode=TraceMode.DOUBLE,
    fee_nano=1_000_000_000,
    centre_cost_nano=5_000_000_000,
    packages_by_s=SLOT + 3_600,
    results_by_s=SLOT + 7_200,
)

BODIES: dict[Kind, tuple[Wire, Wire | None]] = {
    Kind.REGISTER_PARTICIPANT: (
        RegisterParticipant("ann", KEY, TIME_MS),
        ParticipantPayload(HASH, AccountMode.CREDIT_LIMIT, 5_000_000_000),
    ),
    Kind.REGISTER_METER: (RegisterMeter("ann.meter", KEY, "ann", "metering", TIME_MS), None),
    Kind.GRANT_ROLE: (GrantRole("ann", int(Role.PRICE_AUTHORITY), 1, TIME_MS), None),
    Kind.ROTATE_KEY: (RotateKey(KEY, TIME_MS), None),
    Kind.DEPOSIT: (Deposit("ann", TIME_MS), MoneyPayload(10_000_000_000, "transfer 7")),
    Kind.WITHDRAW: (Withdraw(TIME_MS), MoneyPayload(1, "")),
    Kind.TARIFF: (SetTariff("lv1", SLOT, 96, TARIFF, TIME_MS), None),
    Kind.ORDER: (
        PlaceOrder("lv1", SLOT),
        OrderPayload(Side.BID, 200_000, 1_500, 250_000, TIME_MS),
    ),
    Kind.CANCEL: (CancelOrder("lv1", SLOT, 12), None),
    Kind.PHASE: (MovePhase("lv1", 7, Phase.CLEARED, SLOT, 4, SLOT + 900), None),
    Kind.CLOSE_ACCOUNT: (CloseAccount("ann", TIME_MS), None),
    Kind.SEALED_ORDER: (
        SealOrder("lv1", SLOT, order_commitment("operator", "lv1", SLOT, HASH)),
        None,
    ),
    Kind.REVEAL: (
        RevealOrder("lv1", SLOT, 12),
        OrderPayload(Side.BID, 200_000, 1_500, 250_000, TIME_MS),
    ),
    Kind.CURTAILMENT: (
        Curtail("lv1", SLOT, TIME_MS),
        CurtailmentPayload([CurtailedTrade(0, 50, "line-7"), CurtailedTrade(3, 1, "bus-2")]),
    ),
    Kind.BID: (PlaceBid("mg", SLOT), BidPayload(MICROGRID)),
    Kind.CLEARING: (
        ProposeClearing("mg", SLOT, ["mite"]),
        Certificate(
            plan=b"plan",
            duals=b"duals",
            balance_duals=b"balance",
            alone_plan=b"alone",
            alone_duals=b"",
            cost_nano=[60_000_000, -5],
            alone_cost_nano=[1_020_000_000, 0],
            transfer_nano=[-660_000_000, 660_000_000],
            first_transfer_nano=[-330_000_000, 330_000_000],
        ),
    ),
    Kind.MEMBER_CARBON: (
        AllotMemberCarbon("lv1", SLOT, "ann", TIME_MS),
        MemberCarbonPayload([PART, PART]),
    ),
    Kind.SLOT_CARBON: (AllotSlotCarbon("lv1", SLOT, [SLOT_CARBON], HASH, TIME_MS), None),
    Kind.READING_BATCH: (
        ReportBatch("lv1", SLOT, "ann", "ann.meter"),
        BatchPayload(
            1, [SlotReading(Quality.MEASURED, 250, 0), SlotReading(Quality.SUBSTITUTED, 0, 40)]
        ),
    ),
    Kind.READING: (
        ReportReading("lv1", SLOT, "ann", "ann.meter"),
        ReadingPayload(2, Quality.ESTIMATED, 250, 0),
    ),
    Kind.TRACE_REQUEST: (RequestTrace("lv1", TERMS), None),
    Kind.TRACE_PACKAGE: (SendPackage("dso", 12, HASH), None),
    Kind.TRACE_RESULT: (SendResult("dso", 12, HASH, KEY), None),
    Kind.TRACE_JUDGEMENT: (JudgeResults(12, [TraceSame(0, 1, 0)], [TraceRight(1, 1)]), None),
    Kind.TRACE_RATES: (PublishRates(12, HASH, [HASH, KEY]), None),
}

STRUCTS: dict[str, tuple[Wire, Callable[[], dict[str, bytes]]]] = {}
"""Title -> value, and hashes under their own tags."""


def case(value: Wire, hashes: Callable[[], dict[str, bytes]] = dict) -> None:
    STRUCTS[type(value).__name__] = (value, hashes)


ENGINE = EngineState("embedded", 3, 1, [("operator", 1), ("zoe", 2)])
PROPOSAL = Proposal(1, 3, SLOT, HASH, [b"one", b"two"])
RECORD = Record(
    version=1,
    genesis=CHAIN,
    height=3,
    time_s=SLOT,
    parent=HASH,
    proposal=b"\x61" * 32,
    transactions=2,
    transactions_root=b"\x62" * 32,
    payloads_root=b"\x63" * 32,
    receipts_root=b"\x64" * 32,
    market_root=b"\x65" * 32,
    engine_root=b"\x66" * 32,
    validators=b"\x67" * 32,
    engine="embedded",
    state_root=b"\x68" * 32,
)
GENESIS = Genesis(
    version=1,
    app_version=1,
    chain="golden",
    currency="EUR",
    network="lv-rural1",
    previous=b"",
    markets=[
        Market("lv1", 900, TieRule.PRO_RATA, 4, 500_000_000, None, CarbonRules(40_000, 527_000)),
        Market(
            "mg",
            3_600,
            TieRule.PRO_RATA,
            1,
            0,
            BargainRules(1_000, 1_000_000, 200_000, [BargainWeight("ann", 2)]),
            None,
        ),
    ],
    parties=[GenesisParty("operator", KEY, int(Role.OPERATOR | Role.VALIDATOR))],
    validators=[Validator("operator", 1)],
    limits=Limits(4096, 65536, 10_000, 4096),
    fallback=FallbackRule(1, 86_400),
)
case(GENESIS, lambda: {"genesis hash": genesis_hash(GENESIS)})
case(PROPOSAL, lambda: {"proposal hash": proposal_hash(PROPOSAL)})
case(Receipt(HASH, 41, b""))
case(RECORD, lambda: {"record hash": record_hash(RECORD)})
case(ENGINE, lambda: {"engine root": engine_root(ENGINE), "validators": validators_id(ENGINE)})
case(Clock(7, [SLOT, 0]))
case(Party(KEY, int(Role.MEMBER), 12, 3))
case(Secret(HASH))
case(Account(int(AccountMode.POSTPAID), Account.NO_LIMIT, -1_234_567_890_123, 405_000_000))
case(Metering([Meter("ann.meter", "metering", 3)]))
case(TARIFF)
case(
    SlotState(
        phase=Phase.FINAL,
        opened_phase=3,
        tariff=TARIFF,
        orders=4,
        trades=2,
        traded_wh=1_400,
        curtailed_wh=50,
        second_stage_wh=400,
        turnover_nano=210_000_000,
        reference_price_micro_per_kwh=-1,
        grid_import_wh=500,
        grid_export_wh=250,
        archive=HASH,
    )
)
case(SlotSeals([Seal(12, HASH, 500_000_000)]))
case(SlotOrders([Order(12, Side.OFFER, 200_000, 1_500, 150_000, TIME_MS, 225_000_000)]))
case(
    SlotContracts(
        102_170_301,
        [Contract(0, Side.BID, 2, "bob", 12, 601, 300_001, 90_150_301, 12_020_000, 50, "line-7")],
    )
)
case(SlotReadings([READING], [msgspec.structs.replace(READING, version=1)]))
case(SlotBid(12, MICROGRID, 1_080_000_000))
case(AGREEMENT)
case(Clearing(["mite"], 1_080_000_000, HASH, [AGREEMENT]))
case(BillLine(SLOT, LineKind.GRID_IMPORT, -1, "ann.meter/v1", 400, 600_000, 120_000_000))
BILL = Bill(
    total_nano=-222_000_000,
    purchases_nano=-90_000_000,
    sales_nano=0,
    fees_nano=-12_000_000,
    grid_import_nano=-120_000_000,
    grid_export_nano=0,
    lost_deposits_nano=0,
    bought_wh=600,
    sold_wh=0,
    grid_import_wh=400,
    grid_export_wh=0,
    lines=3,
    frontier=[HASH, KEY],
)
case(BILL)
case(SLOT_CARBON)
case(MemberParts([PART]))
case(CarbonStore(8_000_000))
case(CarbonLine(SLOT, PART, 600, 24_000_000, 400, 200_000_000))
case(
    CarbonStatement(
        load_wh=100,
        generated_wh=900,
        charged_wh=200,
        discharged_wh=0,
        load_ug=4_000_000,
        charged_ug=8_000_000,
        discharged_ug=0,
        bought_wh=600,
        bought_ug=24_000_000,
        supplied_wh=400,
        supplied_ug=200_000_000,
        lines=1,
        frontier=[HASH],
    )
)
case(CreditNote(HASH, -222_000_000, BILL))
case(Closure(12, HASH))
case(
    TraceJob(
        market="lv1",
        terms=TERMS,
        requested_phase=3,
        packaged_phase=5,
        ended_phase=0,
        state=TraceState.AGAIN,
        need=TraceNeed.RESULTS,
        due_s=SLOT + 10_800,
        escrow_nano=10_000_000_000,
        packages=[HASH, KEY],
        runs=[TraceRun("cloud-1", HASH, KEY, 0), TraceRun("cloud-2", b"", b"", 1)],
        same=[TraceSame(0, 1, 0)],
        right=[TraceRight(1, 1)],
        steps=4,
        payments=[TracePayment("grid", "cloud-1", 1_000_000_000)],
        strikes=["cloud-2"],
        stands=-1,
        rates=b"",
        shares=[HASH],
    )
)
case(ProviderStanding(1, 19_679))
case(Claim(Kind.DEPOSIT, TIME_MS, encode(Deposit("ann", TIME_MS)), encode(MoneyPayload(1, ""))))
case(Endorsement([[b"val-1", encode(MovePhase("lv1", 7, Phase.CLOSED, SLOT, 1, SLOT))]]))


def rows(title: str, columns: dict[str, object]) -> str:
    """One case: a title and its values, bytes in hexadecimal."""
    shown = {
        name: value.hex() if isinstance(value, bytes) else value for name, value in columns.items()
    }
    width = max(map(len, shown))
    lines = [f"{name.ljust(width)}  {value}".rstrip() for name, value in shown.items()]
    return "\n".join([f"[{title}]", *lines, ""])


def plainly(value: Wire) -> str:
    """Fields with names, so that a reader sees which number is which."""
    return ", ".join(
        f"{field}={shown(getattr(value, field))}" for field in type(value).__struct_fields__
    )


def shown(value: object) -> str:
    match value:
        case bytes():
            return value.hex() or "-"
        case Wire():
            return f"{type(value).__name__}({plainly(value)})"
        case list() | tuple():
            return "[" + ", ".join(map(shown, value)) + "]"
        case str():
            return value or "-"
        case None:
            return "-"
    return str(int(value))


def kind_case(kind: Kind) -> str:
    body, payload = BODIES[kind]
    sealed = b"" if payload is None else sealed_payload(SALT, payload)
    raw = sign_envelope(
        genesis_hash=CHAIN,
        signing_key=SIGNING_KEY,
        sender="operator",
        nonce=12,
        kind=kind,
        expiry_s=SLOT,
        body=body,
        sealed=sealed,
    )
    digest = signing_digest(CHAIN, raw)
    signature = decode(Envelope, raw).signature
    assert crypto_sign_open(signature + digest, PUBLIC_KEY) == digest
    assert decode(KINDS[kind].body, decode(Envelope, raw).public) == body
    columns: dict[str, object] = {
        "body": f"{type(body).__name__}({plainly(body)})",
        "body bytes": encode(body),
    }
    if payload is not None:
        columns |= {
            "payload": f"{type(payload).__name__}({plainly(payload)})",
            "payload bytes": encode(payload),
            "payload hash": sha256(sealed),
        }
    columns |= {"signed digest": digest, "envelope": raw, "transaction id": sha256(raw)}
    return rows(f"{int(kind)} {kind.name.lower()}", columns)


def struct_case(title: str) -> str:
    value, hashes = STRUCTS[title]
    assert decode(type(value), encode(value)) == value
    columns: dict[str, object] = {
        "value": plainly(value),
        "bytes": encode(value),
        "sha256": sha256(encode(value)),
        **hashes(),
    }
    return rows(title, columns)


def test_bytes_of_all_kinds_and_structs(golden: Callable[[str, str], None]) -> None:
    head = [
        "# Every kind of transaction, then every struct that is stored or hashed.",
        f"# chain {CHAIN.hex()}, salt {SALT.hex()},",
        f"# public key {PUBLIC_KEY.hex()} of the seed {'33' * 32};",
        f"# sender operator, nonce 12, expiry {SLOT}.",
        f"# versions: envelope {ENVELOPE_VERSION}, blocks {FORMAT_VERSION},",
        f"# genesis {GENESIS_VERSION}, rules {APP_VERSION}.",
        "",
    ]
    cases = [kind_case(kind) for kind in Kind] + [struct_case(title) for title in STRUCTS]
    golden("kinds.txt", "\n".join([*head, *cases]))


def test_no_kind_and_no_stored_value_is_left_out() -> None:
    assert set(BODIES) == set(Kind)
    assert {namespace.wire_type.__name__ for namespace in NAMESPACES} <= set(STRUCTS)
    text = (Path(__file__).parent / "kinds.txt").read_text()
    assert all(f"\n[{int(kind)} {kind.name.lower()}]\n" in text for kind in Kind)


def test_the_tagged_hashes_are_what_their_tags_say() -> None:
    assert genesis_hash(GENESIS) == tagged_hash(b"gridpact/genesis/v1", encode(GENESIS))
    assert record_hash(RECORD) == tagged_hash(b"gridpact/record/v1", encode(RECORD))
