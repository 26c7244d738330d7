"""The agent's one SQLite file: its tables, and transactions on it."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from sinkd.errors import UsageError

_TABLES = """
CREATE TABLE IF NOT EXISTS sessions (
    id         TEXT PRIMARY KEY,
    run_id     TEXT UNIQUE,       -- of the job's run; NULL when a person asked
    created_at INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS items (
    session_id TEXT    NOT NULL REFERENCES sessions,
    position   INTEGER NOT NULL,  -- 0, 1, 2, ... in its session
    kind       TEXT    NOT NULL,
    text       TEXT    NOT NULL,
    data       TEXT    NOT NULL,  -- JSON
    at         INTEGER NOT NULL,
    PRIMARY KEY (session_id, position)
);
CREATE TABLE IF NOT EXISTS quotes (
    symbol       TEXT PRIMARY KEY,
    cents        INTEGER NOT NULL,
    refreshed_at INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS ledger (
    session_id TEXT PRIMARY KEY REFERENCES sessions,
    text       TEXT    NOT NULL,
    synced_at  INTEGER NOT NULL
);
"""


def create(path: Path) -> None:
    """Make the file, for its owner only, and the tables that it lacks; UsageError if it is broken."""
    try:
        path.touch(mode=0o600)
        with closing(sqlite3.connect(path)) as connection:
            connection.executescript(_TABLES)
    except (OSError, sqlite3.Error) as error:
        message = f"{path} cannot hold the agent's sessions: {error}; move it away to begin anew"
        raise UsageError(message) from None


@contextmanager
def transaction(path: Path) -> Iterator[sqlite3.Connection]:
    """Open the file for one transaction: committed if the block ends well, else undone.

    Begun as a writer, so that what the block reads stays true until it has written.
    """
    with closing(sqlite3.connect(path, isolation_level=None)) as connection, connection:
        connection.row_factory = sqlite3.Row
        connection.execute("BEGIN IMMEDIATE")
        yield connection
