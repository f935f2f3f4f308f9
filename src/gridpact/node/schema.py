"""Tables of the ledger's database. What each column means is `docs/ledger-folder.md`."""

from __future__ import annotations

import sqlite3

STORE_VERSION = 2

SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE blocks (height INTEGER PRIMARY KEY, record BLOB NOT NULL);
CREATE TABLE transactions (
  seq INTEGER PRIMARY KEY, height INTEGER NOT NULL, id BLOB NOT NULL, envelope BLOB NOT NULL,
  verdict INTEGER NOT NULL, postings_hash BLOB NOT NULL);
CREATE INDEX transactions_by_id ON transactions (id);
CREATE INDEX transactions_by_height ON transactions (height);
CREATE TABLE events (
  seq INTEGER PRIMARY KEY, height INTEGER NOT NULL, subject TEXT NOT NULL,
  verdict INTEGER NOT NULL);
CREATE TABLE state (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE private_state (
  key TEXT PRIMARY KEY, salt BLOB NOT NULL, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE private_payloads (seq INTEGER PRIMARY KEY, sealed BLOB NOT NULL);
CREATE TABLE private_documents (
  series TEXT NOT NULL, idx INTEGER NOT NULL, owner TEXT NOT NULL, salt BLOB NOT NULL,
  data BLOB NOT NULL, PRIMARY KEY (series, idx)) WITHOUT ROWID;
CREATE TABLE base (
  height INTEGER PRIMARY KEY, first INTEGER NOT NULL, record BLOB NOT NULL, kept BLOB NOT NULL);
CREATE TABLE base_state (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE private_base_state (
  key TEXT PRIMARY KEY, salt BLOB NOT NULL, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE first_state (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE annual_totals (
  participant TEXT NOT NULL, year TEXT NOT NULL, purchases_nano INTEGER NOT NULL,
  sales_nano INTEGER NOT NULL, fees_nano INTEGER NOT NULL, grid_import_nano INTEGER NOT NULL,
  grid_export_nano INTEGER NOT NULL, lost_deposits_nano INTEGER NOT NULL,
  PRIMARY KEY (participant, year)) WITHOUT ROWID;
"""

_VALUE = {"key": "text", "value": "blob"}
_SALTED_VALUE = {"key": "text", "salt": "blob", "value": "blob"}
COLUMNS = {
    "blocks": {"height": "integer", "record": "blob"},
    "transactions": {
        "seq": "integer",
        "height": "integer",
        "id": "blob",
        "envelope": "blob",
        "verdict": "integer",
        "postings_hash": "blob",
    },
    "events": {"seq": "integer", "height": "integer", "subject": "text", "verdict": "integer"},
    "state": _VALUE,
    "private_state": _SALTED_VALUE,
    "private_payloads": {"seq": "integer", "sealed": "blob"},
    "private_documents": {
        "series": "text",
        "idx": "integer",
        "owner": "text",
        "salt": "blob",
        "data": "blob",
    },
    "base": {"height": "integer", "first": "integer", "record": "blob", "kept": "blob"},
    "base_state": _VALUE,
    "private_base_state": _SALTED_VALUE,
    "first_state": _VALUE,
    "annual_totals": {
        "participant": "text",
        "year": "text",
        "purchases_nano": "integer",
        "sales_nano": "integer",
        "fees_nano": "integer",
        "grid_import_nano": "integer",
        "grid_export_nano": "integer",
        "lost_deposits_nano": "integer",
    },
}
"""SQLite stores any type anywhere; what a column may really hold."""


def schema_of(db: sqlite3.Connection) -> list[tuple[str, ...]]:
    """Everything that is defined in a database."""
    return sorted(db.execute("SELECT type, name, tbl_name, coalesce(sql, '') FROM sqlite_master"))


def expected_schema() -> list[tuple[str, ...]]:
    """What is defined in a database of this release."""
    db = sqlite3.connect(":memory:")
    try:
        db.executescript(SCHEMA)
        return schema_of(db)
    finally:
        db.close()


def damage_of(db: sqlite3.Connection) -> list[str]:
    """What is wrong with a database as such, whatever its rows say; empty when nothing is."""
    found = [row[0] for row in db.execute("PRAGMA integrity_check(20)")]
    found = [] if found == ["ok"] else [f"database: {text}" for text in found]
    if schema_of(db) != expected_schema():
        found.append("database: its tables are not those of this release")
        return found
    for table, columns in COLUMNS.items():
        wrong = " OR ".join(f"typeof({name}) != '{kind}'" for name, kind in columns.items())
        query = f"SELECT count(*) FROM {table} WHERE {wrong}"  # noqa: S608
        count = db.execute(query).fetchone()
        if count[0]:
            found.append(f"table {table}: {count[0]} rows have values of another type")
    for table in ("transactions", "events"):
        query = f"SELECT count(*), min(seq), max(seq) FROM {table}"  # noqa: S608
        rows, first, last = db.execute(query).fetchone()
        if rows and (first, last) != (1, rows):
            found.append(f"table {table}: row numbers have gaps")
    meta = db.execute("SELECT key, value FROM meta").fetchall()
    if meta != [("store_version", STORE_VERSION)]:
        found.append(f"table meta: {meta} is not the version of this store")
    return found
