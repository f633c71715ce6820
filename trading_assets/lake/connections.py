"""Connections to the manifest, in SQLite or PostgreSQL."""

import os
import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy import event, exc
from sqlalchemy.pool import NullPool, QueuePool

from trading_assets.errors import DataError
from trading_assets.lake import tables
from trading_assets.lake.locks import hold

_BUSY_TIMEOUT_SECONDS = 30.0
# Any constant: it names the one lock that writers of a PostgreSQL manifest take in turn.
_WRITER_LOCK = 7_305_102_517


@dataclass(frozen=True, slots=True)
class Engines:
    """Connections to one manifest: readers see one moment each, writers take turns."""

    reader: sa.Engine
    writer: sa.Engine

    def dispose(self, *, closes: bool = True) -> None:
        """Give up all connections; after a fork they are dropped but not closed."""
        self.reader.dispose(close=closes)


class ManifestConnections:
    """Opens the manifest when first used, creates its tables, and explains what goes wrong.

    Parameters
    ----------
    root : Path
        Data folder; the SQLite file lies in it.
    url : str or None
        SQLAlchemy address of a PostgreSQL database, or None for SQLite.
    """

    def __init__(self, root: Path, url: str | None) -> None:
        self._root = root
        self._url = url
        self._engines: Engines | None = None
        self._process = 0

    def close(self) -> None:
        """Give up all connections."""
        if self._engines is not None:
            self._engines.dispose()
            self._engines = None

    @contextmanager
    def reading(self) -> Generator[sa.Connection]:
        """Begin a transaction that sees one moment."""
        with self._explaining("read"), self._open().reader.begin() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Generator[sa.Connection]:
        """Begin a transaction that no other writer overlaps; it is committed on leaving."""
        with self._explaining("written"), self._open().writer.begin() as connection:
            yield connection

    @contextmanager
    def _explaining(self, verb: str) -> Generator[None]:
        try:
            yield
        except (exc.IntegrityError, exc.ProgrammingError):
            raise  # a defect of this program, not of its surroundings
        except exc.DBAPIError as error:
            cause = str(error.orig).splitlines()[0]
            msg = f"manifest {self._address} could not be {verb} ({cause}); {_remedy(cause)}"
            raise DataError(msg) from error
        except OSError as error:
            msg = f"manifest {self._address} could not be {verb} ({error.strerror}); {_remedy('')}"
            raise DataError(msg) from error

    @property
    def _path(self) -> Path:
        return self._root / "manifest.sqlite"

    @property
    def _address(self) -> str:
        return str(self._path) if self._url is None else sa.make_url(self._url).render_as_string()

    def _open(self) -> Engines:
        if self._engines is not None and self._process != os.getpid():
            # A forked child must neither use nor close its parent's connections.
            self._engines.dispose(closes=False)
            self._engines = None
        if self._engines is None:
            engines = self._connect()
            self._create(engines)
            self._engines, self._process = engines, os.getpid()
        return self._engines

    def _connect(self) -> Engines:
        if self._url is not None:
            return connect_postgresql(self._url)
        self._root.mkdir(parents=True, exist_ok=True)
        return connect_sqlite(self._path)

    def _create(self, engines: Engines) -> None:
        if _stored_version(engines) is None:
            with hold(self._root / ".locks" / "manifest", is_exclusive=True):
                if self._url is None:
                    _enable_log(self._path)
                with engines.writer.begin() as connection:
                    _create_tables(connection)
        found = _stored_version(engines)
        if found != tables.SCHEMA_VERSION:
            msg = (
                f"manifest {self._address} has schema version {found}; this program expects"
                f" {tables.SCHEMA_VERSION}, install the version that wrote it"
            )
            raise DataError(msg)


def connect_sqlite(path: Path) -> Engines:
    """Return connections to a file whose commits survive power loss.

    Parameters
    ----------
    path : Path
        The manifest file; where its folder cannot be written, it is opened for reading only.
    """
    is_writable = os.access(path.parent, os.W_OK) or not path.exists()

    def connect() -> sqlite3.Connection:
        return _open_to_write(path) if is_writable else _open_to_read(path)

    # A pooled connection to a file opened as immutable would never see a later commit.
    pool = QueuePool if is_writable else NullPool
    engine = sa.create_engine(f"sqlite:///{path}", creator=connect, poolclass=pool)
    event.listen(engine, "begin", _begin_sqlite)
    return Engines(engine, engine.execution_options(is_writer=True))


def connect_postgresql(url: str) -> Engines:
    """Return connections to a PostgreSQL database."""
    engine = sa.create_engine(url, isolation_level="REPEATABLE READ", pool_pre_ping=True)
    event.listen(engine, "begin", _begin_postgresql)
    # A writer that waited for its turn has to see what was committed meanwhile.
    writer = engine.execution_options(is_writer=True, isolation_level="READ COMMITTED")
    return Engines(engine, writer)


def _enable_log(path: Path) -> None:
    # Readers go on while one writes. The mode stays with the file.
    connection = sqlite3.connect(path, timeout=_BUSY_TIMEOUT_SECONDS)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
    finally:
        connection.close()


def _open_to_write(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=_BUSY_TIMEOUT_SECONDS, check_same_thread=False)
    # SQLAlchemy's "begin" event starts transactions, so that writers can ask for theirs at once.
    connection.isolation_level = None
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA foreign_keys=ON")
    return connection


def _open_to_read(path: Path) -> sqlite3.Connection:
    # SQLite reads a write-ahead log only with its index file; with no log left it needs neither.
    has_log = path.with_name(f"{path.name}-wal").exists()
    mode = "mode=ro" if has_log else "mode=ro&immutable=1"
    uri = f"file:{quote(str(path))}?{mode}"
    connection = sqlite3.connect(uri, uri=True, timeout=_BUSY_TIMEOUT_SECONDS)
    connection.isolation_level = None
    return connection


def _begin_sqlite(connection: sa.Connection) -> None:
    is_writer = connection.get_execution_options().get("is_writer", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if is_writer else "BEGIN")


def _begin_postgresql(connection: sa.Connection) -> None:
    if connection.get_execution_options().get("is_writer", False):
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_WRITER_LOCK})")


def _remedy(cause: str) -> str:
    if "locked" in cause:
        return "another process is writing, run again when it has finished"
    return "check free space and permissions, then run again; earlier commits are unchanged"


def _stored_version(engines: Engines) -> int | None:
    with engines.reader.begin() as connection:
        if not sa.inspect(connection).has_table(tables.schema_version.name):
            return None
        return connection.execute(sa.select(tables.schema_version.c.version)).scalar_one()


def _create_tables(connection: sa.Connection) -> None:
    if sa.inspect(connection).has_table(tables.schema_version.name):
        return  # another process was first
    tables.METADATA.create_all(connection)
    connection.execute(sa.insert(tables.schema_version).values(version=tables.SCHEMA_VERSION))
