"""Connections to a manifest database: how each is opened, and how a transaction begins."""

import os
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy import event, exc
from sqlalchemy.pool import ConnectionPoolEntry, QueuePool

from trading_assets.errors import UserError

# Any constant: it names the one lock that writers of a PostgreSQL manifest take in turn.
_WRITER_LOCK = 7_305_102_517
_REFUSED_BY_THE_DISK = (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN)


@dataclass(frozen=True, slots=True)
class Engines:
    """Connections to one manifest: readers see one moment each, writers take turns."""

    reader: sa.Engine
    writer: sa.Engine

    def dispose(self, *, closes: bool = True) -> None:
        """Give up all connections; after a fork they are dropped but not closed."""
        self.reader.dispose(close=closes)


def connect_sqlite(path: Path, lock_timeout_seconds: float) -> Engines:
    """Return connections to a file whose commits survive power loss.

    Parameters
    ----------
    path : Path
        The manifest file; where its folder cannot be written or the disk is full, it is opened for
        reading only.
    lock_timeout_seconds : float
        How long to wait for other writers.
    """
    log = path.with_name(f"{path.name}-wal")

    def connect() -> sqlite3.Connection:
        if os.access(path.parent, os.W_OK) or not path.exists():
            try:
                return _open_to_write(path, lock_timeout_seconds)
            except sqlite3.OperationalError as error:
                # Even to read, SQLite makes an index of its log, which a full disk refuses.
                is_refused = error.sqlite_errorcode & 0xFF in _REFUSED_BY_THE_DISK
                if not is_refused or not path.exists() or not _is_absent_or_empty(log):
                    raise
                return _open_to_read(path, lock_timeout_seconds, has_log=False)
        return _open_to_read(path, lock_timeout_seconds, has_log=log.exists())

    engine = sa.create_engine(f"sqlite:///{path}", creator=connect, poolclass=QueuePool)
    event.listen(engine, "begin", _begin_sqlite)
    event.listen(engine, "checkin", _drop_read_only)
    return Engines(engine, engine.execution_options(is_writer=True))


def connect_postgresql(url: str, lock_timeout_seconds: float) -> Engines:
    """Return connections to a PostgreSQL database.

    Parameters
    ----------
    url : str
        SQLAlchemy address.
    lock_timeout_seconds : float
        How long to wait for other writers.

    Raises
    ------
    UserError
        If it is no such address; it is not repeated, as it may hold a password.
    """
    try:
        address = sa.make_url(url)
        if address.get_backend_name() != "postgresql":
            raise exc.ArgumentError
        engine = sa.create_engine(address, isolation_level="REPEATABLE READ", pool_pre_ping=True)
    except (exc.ArgumentError, ImportError, ValueError):
        msg = (
            "the manifest's address is none of a PostgreSQL database; expected one such as"
            " postgresql://user@host:5432/name, so correct TRADING_ASSETS_MANIFEST_URL"
        )
        raise UserError(msg) from None

    def begin(connection: sa.Connection) -> None:
        if connection.get_execution_options().get("is_writer", False):
            milliseconds = round(1000 * lock_timeout_seconds)
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = {milliseconds}")
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_WRITER_LOCK})")

    event.listen(engine, "begin", begin)
    # A writer that waited for its turn has to see what was committed meanwhile.
    writer = engine.execution_options(is_writer=True, isolation_level="READ COMMITTED")
    return Engines(engine, writer)


def enable_log(path: Path, lock_timeout_seconds: float) -> None:
    """Let readers of a SQLite file go on while one writes; the mode stays with the file."""
    connection = sqlite3.connect(path, timeout=lock_timeout_seconds)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
    finally:
        connection.close()


class _ReadOnlyConnection(sqlite3.Connection):
    """A connection to a file opened as immutable: it would never see a later commit."""


def _drop_read_only(connection: object, record: ConnectionPoolEntry) -> None:
    if isinstance(connection, _ReadOnlyConnection):
        record.invalidate()


def _is_absent_or_empty(path: Path) -> bool:
    return not path.exists() or path.stat().st_size == 0


def _open_to_write(path: Path, lock_timeout_seconds: float) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=lock_timeout_seconds, check_same_thread=False)
    try:
        # The "begin" event starts transactions, so that writers can ask for theirs at once.
        connection.isolation_level = None
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA foreign_keys=ON")
        connection.execute("PRAGMA schema_version")  # the first to read the file
    except sqlite3.OperationalError:
        connection.close()
        raise
    return connection


def _open_to_read(path: Path, lock_timeout_seconds: float, *, has_log: bool) -> sqlite3.Connection:
    # SQLite reads a write-ahead log only with its index file; with no log left it needs neither.
    mode = "mode=ro" if has_log else "mode=ro&immutable=1"
    uri = f"file:{quote(str(path))}?{mode}"
    connection = sqlite3.connect(
        uri,
        uri=True,
        timeout=lock_timeout_seconds,
        check_same_thread=False,
        factory=_ReadOnlyConnection,
    )
    connection.isolation_level = None
    return connection


def _begin_sqlite(connection: sa.Connection) -> None:
    is_writer = connection.get_execution_options().get("is_writer", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if is_writer else "BEGIN")
