"""The file of the simulated broker's book: transactions that are on the disk once they return."""

import sqlite3
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from trading_assets.paper.simulated_broker.book_schema import IN_MEMORY, open_book_file

Values = tuple[object, ...] | Mapping[str, Any]


class BookFile:
    """One SQLite file, or memory.

    Parameters
    ----------
    path : str or Path
        File, made if there is none; `:memory:` keeps the book in this object.
    lock_timeout_seconds : float
        How long to wait while another process writes.

    Raises
    ------
    DataError
        If the file is no book of this version.
    """

    def __init__(self, path: str | Path = IN_MEMORY, lock_timeout_seconds: float = 30.0) -> None:
        self._is_in_memory = str(path) == IN_MEMORY
        self._connection = open_book_file(path, lock_timeout_seconds)
        self._connection.row_factory = sqlite3.Row
        self._depth = 0

    def close(self) -> None:
        """Close the file; a book in memory lives as long as its object."""
        if not self._is_in_memory:
            self._connection.close()

    @contextmanager
    def transaction(self) -> Generator[None]:
        """Commit everything that is written within, or nothing; may be nested."""
        if self._depth == 0:
            self._connection.execute("BEGIN IMMEDIATE")
        self._depth += 1
        try:
            yield
        except BaseException:
            self._depth -= 1
            if self._depth == 0:
                self._connection.execute("ROLLBACK")
            raise
        self._depth -= 1
        if self._depth == 0:
            self._connection.execute("COMMIT")

    def upsert(self, table: str, key: str, row: Mapping[str, Any]) -> None:
        """Write a row; one with the same key is replaced."""
        changed = ", ".join(f"{name} = excluded.{name}" for name in row if name != key)
        self.run(f"{_insertion(table, row)} ON CONFLICT ({key}) DO UPDATE SET {changed}", row)

    def insert(self, table: str, row: Mapping[str, Any]) -> None:
        """Write a new row."""
        self.run(_insertion(table, row), row)

    def run(self, statement: str, values: Values = ()) -> None:
        """Run a statement with bound values."""
        self._connection.execute(statement, values)

    def one(self, statement: str, values: Values = ()) -> sqlite3.Row | None:
        """Return the first row, or None."""
        return self._connection.execute(statement, values).fetchone()

    def must(self, statement: str) -> sqlite3.Row:
        """Return the one row that the statement always has."""
        return self._connection.execute(statement).fetchone()

    def all(self, statement: str, values: Values = ()) -> list[sqlite3.Row]:
        """Return all rows."""
        return self._connection.execute(statement, values).fetchall()


def _insertion(table: str, row: Mapping[str, Any]) -> str:
    # Names are those of the book's own tables; values are bound.
    marks = ", ".join(f":{name}" for name in row)
    return f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})"  # noqa: S608
