"""Rows of network files: what counts as missing, as a number, as a flag."""

from __future__ import annotations

from typing import Any

import pytest

from gridpact.errors import InputError
from gridpact.grid.rows import Row, Source, shown


def row(**values: Any) -> tuple[Row, Source]:
    source = Source("file")
    return Row(source, "file: thing 1", values), source


@pytest.mark.parametrize("missing", [None, float("nan"), "", "  "])
def test_what_is_missing(missing: object) -> None:
    one, source = row(a=missing)
    assert not one.given("a")
    assert one.has("a")
    assert one.number("a", 2.5) == 2.5
    assert one.whole("a", 7, low=0) == 7
    assert one.text("a", "x") == "x"
    assert one.flag("a", default=True)
    assert one.choice("a", ("x", "y"), "y") == "y"
    assert source.problems == []
    one.number("a")
    one.text("b")
    one.flag("a")
    with pytest.raises(InputError) as caught:
        source.stop()
    assert [problem.message.split(";")[0] for problem in caught.value.problems] == [
        "a is missing",
        "b is missing",
        "a is missing",
    ]


@pytest.mark.parametrize(("given", "text"), [(3, "3"), (3.0, "3"), (" a ", "a"), (0.25, "0.25")])
def test_numbers_are_text_where_text_is_asked_for(given: object, text: str) -> None:
    one, source = row(a=given)
    assert one.text("a") == text
    assert source.problems == []


@pytest.mark.parametrize(
    ("given", "value"),
    [
        (True, True),
        (False, False),
        (1, True),
        (0, False),
        (0.0, False),
        ("TRUE", True),
        ("0", False),
    ],
)
def test_flags(given: object, value: bool) -> None:
    one, source = row(a=given)
    assert one.flag("a") == value
    assert source.problems == []


@pytest.mark.parametrize("bad", [[], {}, True, "x", 10**400, float("inf"), "nan"])
def test_no_numbers(bad: object) -> None:
    one, source = row(a=bad)
    one.number("a")
    one.whole("a", low=0)
    assert len(source.problems) == 2


def test_lists_where_one_value_is_asked_for() -> None:
    one, source = row(a=[1], b=[1, 2.5])
    one.text("a")
    one.flag("a")
    one.choice("a", ("x",))
    assert len(source.problems) == 4  # a choice is text first
    assert one.total("b") == 3.5


def test_long_values_are_cut_in_messages() -> None:
    assert shown(10**5000) == "a number too long to show"
    assert len(shown("x" * 100)) == 60
    assert shown(None) == "None"
