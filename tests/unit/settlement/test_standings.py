from __future__ import annotations

from gridpact.settlement.standings import Standings


def test_two_wrong_results_and_out_for_three_cycles() -> None:
    """Source: [SUN23], section 4.3. Strikes count from job to job and cycle to cycle."""
    begun = Standings()
    once = begun.struck("I", 4)
    assert once.may_hire("I", 4)
    twice = once.struck("I", 7)
    assert [cycle for cycle in range(7, 13) if twice.may_hire("I", cycle)] == [11, 12]
    assert twice.may_hire("II", 7)
    assert begun.may_hire("I", 0)
    assert not begun.strikes


def test_who_comes_back_begins_anew() -> None:
    out = Standings().struck("I", 0).struck("I", 0)
    assert out.struck("I", 2) == out
    back = out.struck("I", 4)
    assert back.may_hire("I", 4)
    assert back.strikes == {"I": 1}
    assert not back.struck("I", 4).may_hire("I", 7)
