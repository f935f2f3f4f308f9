"""Who is who: participants, meters, roles, keys.

Each kind has two halves: the handler judges the transaction when it is executed, `apply_...` lets
the claim take effect at the next barrier and may still refuse it there.
"""

from __future__ import annotations

import msgspec

from gridpact.contracts.bodies import (
    GrantRole,
    ParticipantPayload,
    RegisterMeter,
    RegisterParticipant,
    RotateKey,
)
from gridpact.contracts.call import Call
from gridpact.contracts.keys import metering_key, party_key
from gridpact.ledger import Account, Draft, Secret, account_key, secret_key
from gridpact.model import AccountMode, Meter, Metering, Party, Role, Verdict


def register_participant(call: Call, body: RegisterParticipant, _: ParticipantPayload) -> Verdict:
    """Asks for a new member. Refusals: ALREADY_REGISTERED."""
    if call.draft.get(party_key(body.participant), Party) is not None:
        return Verdict.ALREADY_REGISTERED
    return call.wait(body.submitted_ms)


def apply_register_participant(
    draft: Draft, sender: str, body: RegisterParticipant, payload: ParticipantPayload, salt: bytes
) -> Verdict:
    """Creates the member with its account and secret. Refusals: ALREADY_REGISTERED."""
    if draft.get(party_key(body.participant), Party) is not None:
        return Verdict.ALREADY_REGISTERED
    draft.put(party_key(body.participant), Party(body.public_key, int(Role.MEMBER), 0, draft.phase))
    draft.put(secret_key(body.participant), Secret(payload.secret), salt)
    limit = {
        AccountMode.PREPAID: 0,
        AccountMode.CREDIT_LIMIT: payload.limit_nano,
        AccountMode.POSTPAID: Account.NO_LIMIT,
    }[payload.mode]
    draft.put(account_key(body.participant), Account(int(payload.mode), limit, 0, 0))
    draft.put(metering_key(body.participant), Metering([]))
    return Verdict.ACCEPTED


def register_meter(call: Call, body: RegisterMeter, _: None) -> Verdict:
    """Asks for a new meter. Refusals: ALREADY_REGISTERED."""
    if call.draft.get(party_key(body.meter), Party) is not None:
        return Verdict.ALREADY_REGISTERED
    return call.wait(body.submitted_ms)


def apply_register_meter(
    draft: Draft, sender: str, body: RegisterMeter, payload: None, salt: bytes
) -> Verdict:
    """Makes the meter a party of its own and lists it with its owner.

    Refusals: UNKNOWN_PARTY, ALREADY_REGISTERED.
    """
    metering = draft.get(metering_key(body.owner), Metering)
    reporter_known = body.reporter == body.meter or (
        draft.get(party_key(body.reporter), Party) is not None
    )
    if metering is None or not reporter_known:
        return Verdict.UNKNOWN_PARTY
    if draft.get(party_key(body.meter), Party) is not None:
        return Verdict.ALREADY_REGISTERED
    draft.put(party_key(body.meter), Party(body.public_key, int(Role.METER), 0, draft.phase))
    meters = [*metering.meters, Meter(body.meter, body.reporter, draft.phase)]
    draft.put(metering_key(body.owner), Metering(sorted(meters, key=lambda m: m.meter)))
    return Verdict.ACCEPTED


def grant_role(call: Call, body: GrantRole, _: None) -> Verdict:
    """Asks to give or take a role. Refusals: none before the barrier."""
    return call.wait(body.submitted_ms)


def apply_grant_role(
    draft: Draft, sender: str, body: GrantRole, payload: None, salt: bytes
) -> Verdict:
    """Gives or takes the role. Refusals: UNKNOWN_PARTY."""
    party = draft.get(party_key(body.party), Party)
    if party is None:
        return Verdict.UNKNOWN_PARTY
    role = int(body.role)
    roles = party.roles | role if body.granted else party.roles & ~role
    draft.put(party_key(body.party), msgspec.structs.replace(party, roles=roles))
    return Verdict.ACCEPTED


def rotate_key(call: Call, body: RotateKey, _: None) -> Verdict:
    """Asks for a new key. Refusals: ROLE_MISSING to a party without any, such as one that left."""
    if not call.roles:
        return Verdict.ROLE_MISSING
    return call.wait(body.submitted_ms)


def apply_rotate_key(
    draft: Draft, sender: str, body: RotateKey, payload: None, salt: bytes
) -> Verdict:
    """Replaces the key; the id stays. Refusals: none."""
    party = draft.require(party_key(sender), Party)
    draft.put(party_key(sender), msgspec.structs.replace(party, public_key=body.public_key))
    return Verdict.ACCEPTED
