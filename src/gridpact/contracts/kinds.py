"""The table of all kinds: tag -> shapes, roles, handler. Everything else looks it up here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gridpact.contracts import (
    allotting,
    bargaining,
    closing,
    curtailing,
    money,
    orders,
    phases,
    readings,
    registry,
    sealing,
    tariffs,
    tracing_jobs,
)
from gridpact.contracts.bodies import (
    AllotMemberCarbon,
    AllotSlotCarbon,
    BatchPayload,
    BidPayload,
    CancelOrder,
    CloseAccount,
    Curtail,
    CurtailmentPayload,
    Deposit,
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
    Withdraw,
)
from gridpact.contracts.call import Call, KindRule
from gridpact.model import Certificate, Role, Verdict

_ANYBODY = Role(0)


def _rule(
    body: type[Any], payload: type[Any] | None, roles: Role, handler: Callable[..., Verdict]
) -> KindRule:
    """A row of the table; the handler gets body and payload in the types of its own row."""

    def call_handler(call: Call) -> Verdict:
        return handler(call, call.body, call.payload)

    return KindRule(body, payload, roles, call_handler)


KINDS: dict[int, KindRule] = {
    Kind.REGISTER_PARTICIPANT: _rule(
        RegisterParticipant, ParticipantPayload, Role.OPERATOR, registry.register_participant
    ),
    Kind.REGISTER_METER: _rule(
        RegisterMeter, None, Role.OPERATOR | Role.METERING_OPERATOR, registry.register_meter
    ),
    Kind.GRANT_ROLE: _rule(GrantRole, None, Role.OPERATOR, registry.grant_role),
    Kind.ROTATE_KEY: _rule(RotateKey, None, _ANYBODY, registry.rotate_key),
    Kind.CLOSE_ACCOUNT: _rule(CloseAccount, None, Role.OPERATOR, closing.close_account),
    Kind.DEPOSIT: _rule(Deposit, MoneyPayload, Role.OPERATOR, money.deposit),
    Kind.WITHDRAW: _rule(Withdraw, MoneyPayload, Role.MEMBER, money.withdraw),
    Kind.TARIFF: _rule(SetTariff, None, Role.PRICE_AUTHORITY, tariffs.set_tariff),
    Kind.ORDER: _rule(PlaceOrder, OrderPayload, Role.MEMBER, orders.place_order),
    Kind.CANCEL: _rule(CancelOrder, None, Role.MEMBER, orders.cancel_order),
    Kind.BID: _rule(PlaceBid, BidPayload, Role.MEMBER, bargaining.place_bid),
    Kind.CLEARING: _rule(
        ProposeClearing,
        Certificate,
        Role.OPERATOR | Role.VALIDATOR,
        bargaining.propose_clearing,
    ),
    Kind.PHASE: _rule(MovePhase, None, Role.OPERATOR | Role.VALIDATOR, phases.move_phase),
    Kind.SEALED_ORDER: _rule(SealOrder, None, Role.MEMBER, sealing.seal_order),
    Kind.REVEAL: _rule(RevealOrder, OrderPayload, Role.MEMBER, sealing.reveal_order),
    Kind.CURTAILMENT: _rule(
        Curtail,
        CurtailmentPayload,
        Role.OPERATOR | Role.GRID_COMPANY,
        curtailing.curtail,
    ),
    Kind.READING_BATCH: _rule(
        ReportBatch,
        BatchPayload,
        Role.METER | Role.METERING_OPERATOR,
        readings.report_batch,
    ),
    Kind.READING: _rule(
        ReportReading,
        ReadingPayload,
        Role.METER | Role.METERING_OPERATOR,
        readings.report_reading,
    ),
    Kind.MEMBER_CARBON: _rule(
        AllotMemberCarbon,
        MemberCarbonPayload,
        Role.OPERATOR | Role.GRID_COMPANY,
        allotting.allot_member_carbon,
    ),
    Kind.SLOT_CARBON: _rule(
        AllotSlotCarbon,
        None,
        Role.OPERATOR | Role.GRID_COMPANY,
        allotting.allot_slot_carbon,
    ),
    Kind.TRACE_REQUEST: _rule(RequestTrace, None, Role.GRID_COMPANY, tracing_jobs.request_trace),
    Kind.TRACE_PACKAGE: _rule(SendPackage, None, Role.SUBSTATION, tracing_jobs.send_package),
    Kind.TRACE_RESULT: _rule(
        SendResult,
        None,
        Role.CLOUD_PROVIDER | Role.GRID_COMPANY,
        tracing_jobs.send_result,
    ),
    Kind.TRACE_JUDGEMENT: _rule(JudgeResults, None, Role.GRID_COMPANY, tracing_jobs.judge_results),
    Kind.TRACE_RATES: _rule(PublishRates, None, Role.GRID_COMPANY, tracing_jobs.publish_rates),
}
