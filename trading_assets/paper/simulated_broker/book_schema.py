"""Tables of the simulated broker's book, and how its file is opened."""

import sqlite3
from pathlib import Path

from trading_assets.errors import DataError

VERSION = 1
IN_MEMORY = ":memory:"

_TABLES = """
CREATE TABLE account (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    as_of TEXT,
    cash_usd TEXT NOT NULL,
    is_suspended INTEGER NOT NULL DEFAULT 0,
    blocked TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE TABLE positions (
    symbol TEXT PRIMARY KEY,
    quantity TEXT NOT NULL,
    price_usd TEXT NOT NULL,
    target_weight TEXT NOT NULL
) STRICT;
CREATE TABLE orders (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    client_order_id TEXT NOT NULL UNIQUE,
    uuid TEXT NOT NULL UNIQUE,
    session TEXT NOT NULL,
    symbol TEXT NOT NULL,
    side TEXT NOT NULL,
    quantity TEXT NOT NULL,
    order_type TEXT NOT NULL,
    time_in_force TEXT NOT NULL,
    limit_price_usd TEXT,
    stop_price_usd TEXT,
    take_profit_usd TEXT,
    stop_loss_usd TEXT,
    status TEXT NOT NULL,
    is_open INTEGER NOT NULL,
    filled_quantity TEXT NOT NULL,
    reason TEXT NOT NULL,
    split_ratio TEXT NOT NULL,
    is_triggered INTEGER NOT NULL,
    entry TEXT NOT NULL,
    executions INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL
) STRICT;
CREATE INDEX open_orders ON orders (number) WHERE is_open = 1;
CREATE INDEX exits ON orders (entry) WHERE entry <> '';
CREATE TABLE executions (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    execution_id TEXT NOT NULL UNIQUE,
    client_order_id TEXT NOT NULL REFERENCES orders (client_order_id),
    session TEXT NOT NULL,
    symbol TEXT NOT NULL,
    side TEXT NOT NULL,
    quantity TEXT NOT NULL,
    price_usd TEXT NOT NULL,
    cost_usd TEXT NOT NULL,
    filled_at TEXT NOT NULL,
    replaces TEXT NOT NULL,
    undone_in TEXT,
    replaced_by TEXT NOT NULL
) STRICT;
CREATE INDEX executions_by_order ON executions (client_order_id);
CREATE INDEX executions_by_session ON executions (session);
CREATE TABLE events (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    event_id TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    session TEXT NOT NULL,
    symbol TEXT NOT NULL,
    quantity_change TEXT NOT NULL,
    cash_usd TEXT NOT NULL
) STRICT;
CREATE INDEX events_by_session ON events (session);
CREATE TABLE updates (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    event TEXT NOT NULL,
    at TEXT NOT NULL,
    client_order_id TEXT NOT NULL,
    status TEXT NOT NULL,
    filled_quantity TEXT NOT NULL,
    execution_id TEXT NOT NULL,
    undone TEXT NOT NULL,
    held TEXT NOT NULL
) STRICT;
"""


def open_book_file(path: str | Path, lock_timeout_seconds: float = 30.0) -> sqlite3.Connection:
    """Open a book, made if there is none; a commit is on the disk when it returns.

    Parameters
    ----------
    path : str or Path
        File of the book, or `:memory:`.
    lock_timeout_seconds : float
        How long to wait while another process writes.

    Raises
    ------
    DataError
        If the file is no book of this version.
    """
    # The HTTP face opens the book in one thread and serves it in another.
    connection = sqlite3.connect(
        str(path), timeout=lock_timeout_seconds, isolation_level=None, check_same_thread=False
    )
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA foreign_keys=ON")
        connection.execute("BEGIN IMMEDIATE")
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version == 0:
            for statement in _TABLES.split(";"):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute("COMMIT")
    except sqlite3.DatabaseError as error:
        connection.close()
        msg = f"the simulated broker's book {path} could not be opened ({error}); restore the file"
        raise DataError(msg) from error
    if version not in (0, VERSION):
        connection.close()
        msg = f"the book {path} has version {version}; expected {VERSION}: use a new path"
        raise DataError(msg)
    return connection
