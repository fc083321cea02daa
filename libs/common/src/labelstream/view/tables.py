"""The view's tables, and how its file is opened."""

from __future__ import annotations

import sqlite3
from pathlib import Path

VERSION = 2  # a file of another version is thrown away and rebuilt

# `offset` is always an offset of annotation-events. Nothing is updated in `change` and `content`:
# the state at an offset is each name's last change up to it. Only an erasure removes from them.
# `project.receipts` counts the project's messages; `held.receipts` is that count when the message was held.
DDL = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE project (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, receipts INTEGER NOT NULL DEFAULT 0);
CREATE TABLE class_schema (project INTEGER NOT NULL, offset INTEGER NOT NULL, json TEXT NOT NULL,
                           PRIMARY KEY (project, offset)) WITHOUT ROWID;
CREATE TABLE input (id INTEGER PRIMARY KEY, stream TEXT NOT NULL UNIQUE, last INTEGER NOT NULL,
                    stored_bytes INTEGER NOT NULL DEFAULT 0);
CREATE TABLE answer (offset INTEGER PRIMARY KEY, input INTEGER NOT NULL, input_offset INTEGER NOT NULL);
CREATE INDEX answer_to ON answer (input, input_offset);
CREATE TABLE message (key BLOB PRIMARY KEY, offset INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE name (id INTEGER PRIMARY KEY, project INTEGER NOT NULL, name TEXT NOT NULL, UNIQUE (project, name));
CREATE TABLE medium (id INTEGER PRIMARY KEY, project INTEGER NOT NULL, name TEXT NOT NULL, split TEXT,
                     UNIQUE (project, name));
CREATE TABLE image (id INTEGER PRIMARY KEY, project INTEGER NOT NULL, sha256 BLOB NOT NULL, medium INTEGER NOT NULL,
                    UNIQUE (project, sha256));
CREATE TABLE context (id INTEGER PRIMARY KEY, packed BLOB NOT NULL UNIQUE);
CREATE TABLE content (id INTEGER PRIMARY KEY, image INTEGER NOT NULL, medium INTEGER NOT NULL,
                      context INTEGER NOT NULL, packed BLOB NOT NULL);
CREATE TABLE change (name INTEGER NOT NULL, offset INTEGER NOT NULL, revision INTEGER NOT NULL, flags INTEGER NOT NULL,
                     content INTEGER NOT NULL, PRIMARY KEY (name, offset)) WITHOUT ROWID;
CREATE INDEX validation ON change (offset) WHERE flags = 1;
CREATE TABLE held (project INTEGER NOT NULL, name TEXT NOT NULL, asked TEXT NOT NULL, offset INTEGER NOT NULL,
                   receipts INTEGER NOT NULL, validated INTEGER NOT NULL, edit TEXT,
                   PRIMARY KEY (project, name, asked)) WITHOUT ROWID;
CREATE INDEX held_since ON held (project, receipts);
"""

VALIDATED = 1  # bits of change.flags
DELETED = 2


def connect(path: Path) -> sqlite3.Connection:
    """Open the view's file for writing; one of another version is begun anew."""
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = _open(path)
    if connection.execute("PRAGMA user_version").fetchone()[0] == VERSION:
        return connection
    connection.close()
    remove(path)
    connection = _open(path)
    connection.executescript(f"BEGIN; {DDL} PRAGMA user_version = {VERSION}; COMMIT;")
    return connection


def snapshot(path: Path) -> sqlite3.Connection:
    """Open the committed state for reading, by one thread at a time; what is written meanwhile does not show."""
    uri = f"{path.absolute().as_uri()}?mode=ro"
    connection = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)
    connection.execute("BEGIN")
    return connection


def remove(path: Path) -> None:
    """Throw the view's files away."""
    for suffix in ("-wal", "-shm", ""):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def _open(path: Path) -> sqlite3.Connection:
    # The view is called from one thread at a time, but not always from the same one.
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")  # a lost tail is read from the stream again
    connection.execute("PRAGMA temp_store = FILE")
    return connection
