"""Tables: the same columns in every form, there without rows too, and explained in docs."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from tests.unit.reports.conftest import LINE, START_S

from gridpact.model import RunResult
from gridpact.reports import TABLES, frame_of, table, tables, write_parquet
from gridpact.reports.columns import ORDERS
from gridpact.reports.table_shapes import Kind
from gridpact.reports.tables import table_csv

DOCS = Path(__file__).resolve().parents[3] / "docs" / "results.md"
POLARS = {
    Kind.WHOLE: pl.Int64(),
    Kind.REAL: pl.Float64(),
    Kind.TEXT: pl.String(),
    Kind.TIME: pl.Datetime("us", "UTC"),
}


def read(result: RunResult, folder: Path, name: str) -> list[dict[str, object]]:
    write_parquet(result, folder / "tables")
    return pl.read_parquet(folder / "tables" / f"{name}.parquet").to_dicts()


def test_every_table_is_written_with_its_types(empty_run: RunResult, tmp_path: Path) -> None:
    write_parquet(empty_run, tmp_path / "tables")
    written = {path.stem: path for path in (tmp_path / "tables").iterdir()}
    assert set(written) == {each.name for each in TABLES}
    for each in TABLES:
        schema = pl.read_parquet(written[each.name]).schema
        assert dict(schema) == {column.name: POLARS[column.kind] for column in each.columns}


def test_slots_and_bills_are_exact(full_run: RunResult, tmp_path: Path) -> None:
    first, second = read(full_run, tmp_path, "slots")
    assert first["start_utc"] == datetime.fromtimestamp(START_S, UTC)
    assert (first["traded_wh"], first["curtailed_wh"], first["spilled_wh"]) == (500, 120, 40)
    assert second["reference_price_micro_per_kwh"] is None
    ann, ben = read(full_run, tmp_path, "bills")
    assert ann["difference_nano"] == 15_000_000
    assert (ben["participant"], ben["lost_deposits_nano"]) == ("ben", -1_000_000)
    assert (ben["total_nano"], ben["corrections_nano"]) == (-195_000_000, 15_000_000)
    assert ben["difference_nano"] == -195_000_000 + 15_000_000 + 190_000_001


def test_lines_of_bills_then_of_credit_notes(full_run: RunResult, tmp_path: Path) -> None:
    lines = read(full_run, tmp_path, "bill_lines")
    assert [(line["document"], line["line"], line["kind"]) for line in lines] == [
        ("bill", 0, "purchase"),
        ("bill", 1, "undeliverable"),
        ("bill", 2, "lost_deposit"),
        ("credit_note", 0, "grid_import"),
        ("credit_note", 1, "grid_import"),
    ]
    assert lines[1]["reference"] == f"local.{START_S}.0@{LINE}"
    assert (lines[1]["energy_wh"], lines[1]["amount_nano"]) == (120, 0)
    assert [line["correction"] for line in lines] == [0, 0, 0, -1, 1]


def test_credit_notes_lead_to_what_holds(full_run: RunResult, tmp_path: Path) -> None:
    (note,) = read(full_run, tmp_path, "credit_notes")
    assert note["billed_nano"] == -195_000_000
    assert note["change_nano"] == 15_000_000
    assert note["corrected_nano"] == -180_000_000


def test_grid_tables_have_gaps_where_nothing_converged(full_run: RunResult, tmp_path: Path) -> None:
    solved, unsolved = read(full_run, tmp_path, "grid_slots")
    assert (solved["vm_min_pu"], solved["loading_max_branch"]) == (0.9876, LINE)
    assert (solved["cuts"], solved["violations"]) == (1, 1)
    assert unsolved["vm_min_pu"] is None
    assert unsolved["violations"] == 1
    assert [each["loading_max_percent"] for each in read(full_run, tmp_path, "branches")] == [
        *(40.0, 104.25, None)
    ]
    assert read(full_run, tmp_path, "buses")[2]["vm_max_pu"] is None
    overload, collapse = read(full_run, tmp_path, "violations")
    assert (overload["kind"], overload["value"], overload["limit"]) == ("loading", 104.25, 100.0)
    assert (collapse["kind"], collapse["value"]) == ("collapse", None)


def test_cuts_refer_to_bill_lines(full_run: RunResult, tmp_path: Path) -> None:
    (cut,) = read(full_run, tmp_path, "cuts")
    references = {line["reference"] for line in read(full_run, tmp_path, "bill_lines")}
    assert f"{cut['trade']}@{cut['bound_by']}" in references
    assert cut["curtailed_wh"] == 120


def test_homes_and_their_shortfalls(full_run: RunResult, tmp_path: Path) -> None:
    ann, ben = read(full_run, tmp_path, "homes")
    assert (ann["planning"], ann["missing_wh"], ben["missing_wh"]) == ("optimised", 0, 250)
    (short,) = read(full_run, tmp_path, "shortfalls")
    assert short["due_utc"] == datetime.fromtimestamp(START_S + 900, UTC)
    assert (short["asset"], short["missing_wh"]) == ("car & co", 250)


def test_orders_are_a_frame_but_no_file(full_run: RunResult, tmp_path: Path) -> None:
    assert frame_of(full_run, ORDERS)["side"].to_list() == ["offer", "bid"]
    assert ORDERS not in TABLES


def test_bare_run_has_a_frame_of_orders_without_rows(empty_run: RunResult) -> None:
    assert frame_of(empty_run, ORDERS).shape == (0, 5)


@pytest.mark.parametrize("name", ["grid_slots", "bill_lines", "cuts"])
def test_csv_has_the_columns_of_the_frame(full_run: RunResult, name: str) -> None:
    text = table_csv(full_run, table(name))
    header = text.splitlines()[0].split(",")
    assert [column for column in header if column != "start_local"] == frame_of(
        full_run, table(name)
    ).columns
    assert "nan" not in text.replace("_nano", "")


@pytest.mark.parametrize("each", [*TABLES, ORDERS], ids=lambda each: each.name)
def test_docs_explain_every_column(each: object) -> None:
    assert hasattr(each, "name")
    assert hasattr(each, "columns")
    text = DOCS.read_text(encoding="utf-8")
    part = re.split(r"^### ", text.partition(f"### `{each.name}`\n")[2], flags=re.MULTILINE)[0]
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| (.*) \|$", part, flags=re.MULTILINE)
    assert rows == [(one.name, one.kind.value, one.meaning) for one in each.columns]


def test_rows_are_taken_some_at_a_time(
    full_run: RunResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = frame_of(full_run, table("bill_lines"))
    monkeypatch.setattr(tables, "ROWS_AT_ONCE", 2)
    assert frame_of(full_run, table("bill_lines")).equals(whole)
