"""The manifest's database: opened when first used, its tables created, its failures explained."""

import os
import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy import exc

from trading_assets.errors import DataError
from trading_assets.lake import tables
from trading_assets.lake.engines import Engines, connect_postgresql, connect_sqlite, enable_log
from trading_assets.lake.locks import hold


class ManifestConnections:
    """Opens the manifest when first used, creates its tables, and explains what goes wrong.

    Parameters
    ----------
    root : Path
        Data folder; the SQLite file lies in it.
    url : str or None
        SQLAlchemy address of a PostgreSQL database, or None for SQLite.
    lock_timeout_seconds : float
        How long to wait for other writers.
    """

    def __init__(self, root: Path, url: str | None, lock_timeout_seconds: float) -> None:
        self._root = root
        self._url = url
        self._lock_timeout_seconds = lock_timeout_seconds
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
        except (exc.DBAPIError, sqlite3.Error) as error:
            cause = str(error.orig if isinstance(error, exc.DBAPIError) else error).splitlines()[0]
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
            return connect_postgresql(self._url, self._lock_timeout_seconds)
        self._root.mkdir(parents=True, exist_ok=True)
        return connect_sqlite(self._path, self._lock_timeout_seconds)

    def _create(self, engines: Engines) -> None:
        if _stored_version(engines) is None:
            seconds = self._lock_timeout_seconds
            lock = self._root / ".locks" / "manifest"
            with hold(lock, is_exclusive=True, timeout_seconds=seconds):
                if self._url is None:
                    enable_log(self._path, seconds)
                with engines.writer.begin() as connection:
                    _create_tables(connection)
        found = _stored_version(engines)
        if found != tables.SCHEMA_VERSION:
            msg = (
                f"manifest {self._address} has schema version {found}; this program expects"
                f" {tables.SCHEMA_VERSION}, install the version that wrote it"
            )
            raise DataError(msg)


def _remedy(cause: str) -> str:
    if "lock" in cause:
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
