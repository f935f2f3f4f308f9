"""Goal: two public data sets are read as they are published, changes of clocks included.

Method: small made-up files in their exact form. The real ones are not part of this repository.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.inputs.meter_files import Village

from gridpact.errors import InputError
from gridpact.inputs import load_profiles, load_scenario
from gridpact.model import Quality

LISBON = "Europe/Lisbon"
SYDNEY = "Australia/Sydney"


# The electricity load diagrams of the UCI repository


def uci(first: str, days: int, values: dict[str, str] | None = None, clients: int = 3) -> str:
    """Rows of 96 quarter-hours a day, client n with n times the row's number in W, as mean kW."""
    start = datetime.fromisoformat(first)
    lines = ['"";' + ";".join(f'"MT_{n:03d}"' for n in range(1, clients + 1))]
    for row in range(1, days * 96 + 1):
        stamp = f"{start + timedelta(minutes=15 * row):%Y-%m-%d %H:%M:%S}"
        power = [f"{n * row / 1000:.3f}".replace(".", ",") for n in range(1, clients + 1)]
        line = ";".join((values or {}).get(stamp, power[i]) for i in range(clients))
        lines.append(f'"{stamp}";{line}')
    return "\n".join(lines) + "\n"


def uci_village(folder: Path, day: str, days: int = 1, zone: str = LISBON) -> Village:
    return Village(
        folder,
        file="LD2011_2014.txt",
        zone=zone,
        first_day=day,
        days=days,
        slot_s=900,
        members=[("MT_002", ""), ("MT_001", "")],
        keys={"source": '"csv"', "format": '"uci"'},
    )


def test_uci_labels_are_ends_and_values_mean_power(tmp_path: Path) -> None:
    profiles = uci_village(tmp_path, "2014-07-02").load(uci("2014-07-01", 2))
    rows = range(1, 193)
    # n x row W for a quarter of an hour, half to even
    assert profiles.load_wh[1].tolist() == [round(row / 4) for row in rows]
    assert profiles.load_wh[0].tolist() == [round(2 * row / 4) for row in rows]
    assert (profiles.quality == Quality.MEASURED).all()


def test_uci_quarter_hours_sum_to_hours(tmp_path: Path) -> None:
    village = uci_village(tmp_path, "2014-07-02")
    village.slot_s = 3600
    profiles = village.load(uci("2014-07-01", 2))
    sums = [sum(range(4 * hour + 1, 4 * hour + 5)) for hour in range(48)]
    assert profiles.load_wh[1].tolist() == [round(total / 4) for total in sums]


def test_uci_day_of_23_hours(tmp_path: Path) -> None:
    """2014-03-30: the clock goes from 00:59 to 02:00, and labels 01:00 to 01:45 are zero."""
    skipped = {f"2014-03-30 01:{minute:02d}:00": "0" for minute in (0, 15, 30, 45)}
    profiles = uci_village(tmp_path, "2014-03-30").load(uci("2014-03-29", 2, skipped))
    assert len(profiles.slots) == 92
    rows = [row for row in range(1, 193) if row not in range(96 + 4, 96 + 8)]
    assert profiles.load_wh[1].tolist() == [round(row / 4) for row in rows]


def test_uci_skipped_hour_has_to_be_zero(tmp_path: Path) -> None:
    found = uci_village(tmp_path, "2014-03-30").refusal(uci("2014-03-29", 2))
    assert [problem.split(":")[1] for problem in found] == [
        str(line) for line in (101, 102, 103, 104) for _ in range(2)
    ]
    assert found[0] == (
        "LD2011_2014.txt:101: 2014-03-30 01:00:00 does not exist in the time zone Europe/Lisbon, "
        "but has the value '0,100'; allowed: 0 in the hour that clocks jump over; set "
        "profiles.time_zone to the clock that the file follows"
    )


def test_uci_day_of_25_hours(tmp_path: Path) -> None:
    """2014-10-26: labels 01:00 to 01:45 come twice, and their rows hold both."""
    profiles = uci_village(tmp_path, "2014-10-26").load(uci("2014-10-25", 2))
    assert len(profiles.slots) == 100
    double = [round(row / 4) for row in range(96 + 4, 96 + 8)]
    halves = [(wh + 1) // 2 for wh in double] + [wh // 2 for wh in double]
    before = [round(row / 4) for row in range(1, 96 + 4)]
    after = [round(row / 4) for row in range(96 + 8, 193)]
    assert profiles.load_wh[1].tolist() == before + halves + after
    estimated = (profiles.quality[1] == Quality.ESTIMATED).nonzero()[0].tolist()
    assert estimated == list(range(99, 107))


def test_uci_gaps_and_bad_values_are_named(tmp_path: Path) -> None:
    text = uci("2014-07-01", 2, {"2014-07-01 03:00:00": "1.5"})
    lines = text.splitlines()
    del lines[60:62]
    found = uci_village(tmp_path, "2014-07-02").refusal("\n".join(lines))
    assert [problem.split(":")[1] for problem in found] == ["13", "13", "61"]
    assert "is not a number; write digits with a decimal comma" in found[0]
    assert "2 intervals are missing before 2014-07-01 15:30:00, from 2014-07-01 13:45Z" in found[2]


def test_uci_form_is_not_up_to_the_scenario(tmp_path: Path) -> None:
    village = uci_village(tmp_path, "2014-07-02")
    village.keys |= {"unit": '"kwh"', "label": '"start"', "meter_column": '"x"'}
    found = village.refusal(uci("2014-07-01", 2))
    assert [problem.split(":")[1].strip() for problem in found] == [
        "profiles.unit",
        "profiles.label",
        "profiles.meter_column",
    ]
    assert 'format = "uci" says it' in found[0]


def test_uci_client_that_is_not_there(tmp_path: Path) -> None:
    village = uci_village(tmp_path, "2014-07-02")
    village.members = [("MT_371", "")]
    (found,) = village.refusal(uci("2014-07-01", 2))
    assert "participant[1].load: 'MT_371' is not a column of LD2011_2014.txt" in found


# The solar homes of Ausgrid

ENDS = [f"{(30 * i // 60) % 24}:{30 * i % 60:02d}" for i in range(1, 49)]
NOTICE = '"2012-2013 Solar home electricity data - read the notes first",' + "," * 52
HEADER = "Customer,Generator Capacity,Postcode,Consumption Category,date"


def half_hours(day: int, factor: int) -> list[int]:
    """Wh of the half-hours of a day."""
    return [factor * (48 * day + i) for i in range(48)]


def kwh(energies: list[int]) -> list[str]:
    return [f"{wh / 1000:.3f}".rstrip("0").rstrip(".") for wh in energies]


def ausgrid(
    first: date, days: int, *, spelled: str = "{0.day}/{0.month:02d}/{0.year}", quality: bool = True
) -> list[list[str]]:
    """Rows of customers 1 (with controlled load) and 12, day by day."""
    rows = []
    for number in range(days):
        day = first + timedelta(days=number)
        text = spelled.format(day)
        for customer, category, factor in (
            ("1", "CL", 1), ("1", "GC", 2), ("1", "GG", 3), ("12", "GC", 4), ("12", "GG", 5),
        ):  # fmt: skip
            values = kwh(half_hours(number, factor))
            rows.append([customer, "3.78", "2076", category, text, *values, *[""] * quality])
    return rows


def sheet(rows: list[list[str]], *, quality: bool = True) -> str:
    head = ",".join([HEADER, *ENDS, *["Row Quality"] * quality])
    return "\n".join([NOTICE, head, *(",".join(row) for row in rows), ""])


def ausgrid_village(folder: Path, day: str, days: int = 1) -> Village:
    return Village(
        folder,
        file="solar.csv",
        zone=SYDNEY,
        first_day=day,
        days=days,
        slot_s=1800,
        members=[("1/GC+CL", "1/GG"), ("12/GC", "")],
        keys={"source": '"csv"', "format": '"ausgrid"'},
    )


@pytest.mark.parametrize(
    ("spelled", "quality"), [("{0.day}/{0.month:02d}/{0.year}", True), ("{0:%d-%b-%y}", False)]
)
def test_ausgrid_rows_are_days(tmp_path: Path, spelled: str, quality: bool) -> None:
    rows = ausgrid(date(2012, 7, 1), 2, spelled=spelled, quality=quality)
    profiles = ausgrid_village(tmp_path, "2012-07-02").load(sheet(rows, quality=quality))
    both = [[*half_hours(0, factor), *half_hours(1, factor)] for factor in (3, 4)]
    assert profiles.load_wh.tolist() == both
    assert profiles.pv_wh[0].tolist() == both[0]
    assert profiles.pv_wh[1].tolist() == [0] * 96
    # the column 0:30 is the first half-hour of the day, 0:00 the last
    assert profiles.slots[0].start_s == int(
        datetime(2012, 7, 2, tzinfo=ZoneInfo(SYDNEY)).timestamp()
    )


def test_ausgrid_rows_that_are_not_actual_are_estimated(tmp_path: Path) -> None:
    rows = ausgrid(date(2012, 7, 1), 2)
    rows[7][-1] = "NA"  # generation of customer 1 on 2 July
    profiles = ausgrid_village(tmp_path, "2012-07-02").load(sheet(rows))
    assert (profiles.quality[0, 48:] == Quality.ESTIMATED).all()
    assert int((profiles.quality == Quality.ESTIMATED).sum()) == 48


def spring(rows: list[list[str]], columns: tuple[int, int]) -> list[list[str]]:
    """Zeros in two half-hours of 7 October 2012, when 03:00 follows 01:59."""
    changed = []
    for row in rows:
        new = list(row)
        if row[4] == "7/10/2012":
            real = row[5 : 5 + 46]
            first = columns[0]
            new[5 : 5 + 48] = [*real[:first], "0", "0", *real[first:]]
        changed.append(new)
    return changed


@pytest.mark.parametrize("columns", [(3, 4), (4, 5)], ids=["2:00 and 2:30", "2:30 and 3:00"])
def test_ausgrid_day_of_23_hours(tmp_path: Path, columns: tuple[int, int]) -> None:
    rows = spring(ausgrid(date(2012, 10, 6), 2), columns)
    profiles = ausgrid_village(tmp_path, "2012-10-07").load(sheet(rows))
    assert len(profiles.slots) == 46
    assert profiles.load_wh[1].tolist() == half_hours(0, 4) + half_hours(1, 4)[:46]


def test_ausgrid_day_of_25_hours(tmp_path: Path) -> None:
    profiles = ausgrid_village(tmp_path, "2013-04-07").load(sheet(ausgrid(date(2013, 4, 6), 2)))
    assert len(profiles.slots) == 50
    day = half_hours(1, 4)
    halves = [(wh + 1) // 2 for wh in day[3:5]] + [wh // 2 for wh in day[3:5]]
    assert profiles.load_wh[1].tolist() == half_hours(0, 4) + day[:3] + halves + day[5:]
    estimated = (profiles.quality[1] == Quality.ESTIMATED).nonzero()[0].tolist()
    assert estimated == [51, 52, 53, 54]


def test_ausgrid_problems_are_named_by_line(tmp_path: Path) -> None:
    rows = ausgrid(date(2012, 7, 1), 4)
    rows[3][7] = "-0.1"
    rows[8][4] = "32/07/2012"
    del rows[13]  # 3 July of customer 12
    found = ausgrid_village(tmp_path, "2012-07-02").refusal(sheet(rows))
    assert [problem.split(":")[1] for problem in found] == ["6", "11", "20"]
    assert found[0].startswith("solar.csv:6: 12/GC: -0.1 kWh is negative")
    assert found[1].startswith("solar.csv:11: '32/07/2012' is not a date; write 1/07/2012, day fir")
    assert "48 intervals are missing before 4/07/2012 0:30" in found[2]


def test_ausgrid_customer_that_is_not_there(tmp_path: Path) -> None:
    village = ausgrid_village(tmp_path, "2012-07-02")
    village.members = [("12/GC+CL", ""), ("1/GC", "")]
    (found,) = village.refusal(sheet(ausgrid(date(2012, 7, 1), 2)))
    assert found == "solar.csv: it has no rows of 12/CL; did you mean '1/CL'?"
    village.members = [("12", ""), ("1/XX", "")]
    assert [problem.split(";")[0] for problem in village.refusal()] == [
        "solar.csv: '12' does not name readings of a customer",
        "solar.csv: '1/XX' does not name readings of a customer",
    ]


def test_ausgrid_needs_its_columns(tmp_path: Path) -> None:
    text = sheet(ausgrid(date(2012, 7, 1), 2)).replace("23:30", "23:45")
    (found,) = ausgrid_village(tmp_path, "2012-07-02").refusal(text)
    assert found.startswith("solar.csv:2: lacks the columns '23:30'; the second line of Ausgrid's")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(
    st.sampled_from(["uci", "ausgrid"]),
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 80), st.text(max_size=4)), max_size=4),
)
def test_damaged_files_are_refused_or_read(
    tmp_path: Path, kind: str, edits: list[tuple[float, int, str]]
) -> None:
    if kind == "uci":
        village, text = uci_village(tmp_path, "2014-07-02"), uci("2014-07-01", 2)
    else:
        village = ausgrid_village(tmp_path, "2012-07-02")
        text = sheet(ausgrid(date(2012, 7, 1), 2))
    path = village.write(text)
    scenario = load_scenario(path)
    for place, length, insert in edits:
        at = int(place * len(text))
        text = text[:at] + insert + text[at + length :]
    (tmp_path / village.file).write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        profiles = load_profiles(scenario)
    except InputError:
        return
    assert profiles.load_wh.shape == profiles.pv_wh.shape
    assert (profiles.load_wh >= 0).all()
