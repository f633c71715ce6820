"""SQL over the lake: a DuckDB file of views, rebuilt from the manifest when it has moved on.

Nothing else depends on this file. Views name their files one by one; a query reads only files whose
hashes have been checked just before, and can neither write nor reach anything outside them.
"""

import logging
import os
import uuid
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from trading_assets.errors import DataError, UserError
from trading_assets.lake.answers import read_answer
from trading_assets.lake.availability import label
from trading_assets.lake.files import TEMPORARY_PREFIX, read_checked
from trading_assets.lake.locks import LOCK_TIMEOUT_SECONDS, hold
from trading_assets.lake.manifest import Manifest
from trading_assets.lake.views import View, definition, escaped, named_in, quoted, views_of

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_LOG = logging.getLogger(__name__)
# Names of assets begin with a letter, so no data set can be called this.
_STAMP = "_manifest.built_from"
_MOST_ATTEMPTS = 5
_LONGEST_SENTENCE = 400


class Catalog:
    """The file `<root>/catalog.duckdb`.

    Parameters
    ----------
    root : Path
        Data folder.
    manifest : Manifest
        Says which files there are.
    lock_timeout_seconds : float, optional
        How long to wait for another process that writes the file.
    """

    def __init__(
        self, root: Path, manifest: Manifest, lock_timeout_seconds: float = LOCK_TIMEOUT_SECONDS
    ) -> None:
        self._root = root
        self._manifest = manifest
        self._lock_timeout_seconds = lock_timeout_seconds

    @property
    def path(self) -> Path:
        """The DuckDB file."""
        return self._root / "catalog.duckdb"

    def rebuild(self) -> Path:
        """Write the views anew if manifest or data folder have changed since; return the path.

        Raises
        ------
        DataError
            If the data folder cannot be written, or another process keeps writing the file.
        """
        import duckdb

        newest, _ = self._manifest.stored_tables()
        if self._built_from() != (newest, str(self._lake)):
            try:
                with hold(
                    self._root / ".locks" / "catalog",
                    is_exclusive=True,
                    timeout_seconds=self._lock_timeout_seconds,
                ):
                    self._rebuild_locked()
            except (OSError, duckdb.Error) as error:
                msg = (
                    f"catalog {self.path} could not be written ({_sentence(error)}); check free"
                    " space and permissions, then run again"
                )
                raise DataError(msg) from error
        return self.path

    def query(self, sql: str) -> pl.DataFrame:
        """Return the result of one SELECT.

        Raises
        ------
        UserError
            If it is not one SELECT, or DuckDB refuses it.
        DataError
            If a file that it reads is not what was committed.
        """
        import duckdb

        _refuse_unless_select(sql)
        connection, views = self._open()
        try:
            paths = self._check_files(named_in(sql, views))
            _restrict(connection, paths)
            return read_answer(connection.sql(sql))
        except duckdb.Error as error:
            raise UserError(_sentence(error)) from error
        finally:
            connection.close()

    @property
    def _lake(self) -> Path:
        return self._root.absolute()

    def _open(self) -> tuple["DuckDBPyConnection", list[View]]:
        """Return a connection to a catalog, and exactly the views that are in it."""
        for _ in range(_MOST_ATTEMPTS):
            self.rebuild()
            newest, stored = self._manifest.stored_tables()
            connection = _attach(self.path)
            if connection is not None:
                if _read_stamp(connection)[:2] == (newest, str(self._lake)):
                    return connection, views_of(stored)
                connection.close()
        msg = "commits kept arriving while the catalog was read; run the query again"
        raise DataError(msg)

    def _built_from(self) -> tuple[int, str] | None:
        """Return the commit and folder that the file was built from, None if it has to be built."""
        if not self.path.exists():
            return None
        connection = _attach(self.path)
        if connection is None:
            return None
        try:
            commit_id, root, is_complete = _read_stamp(connection)
        finally:
            connection.close()
        return (commit_id, root) if is_complete else None

    def _rebuild_locked(self) -> None:
        newest, stored = self._manifest.stored_tables()
        if self._built_from() == (newest, str(self._lake)):
            return  # another process has just done it
        temporary = self._root / f"{TEMPORARY_PREFIX}{uuid.uuid4().hex}.duckdb"
        try:
            self._write(temporary, newest, views_of(stored))
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
            # Left by a program that wrote to the file before: DuckDB opens none with such a log.
            _log_of(self.path).unlink(missing_ok=True)
            temporary.replace(self.path)
        finally:
            temporary.unlink(missing_ok=True)
            _log_of(temporary).unlink(missing_ok=True)

    def _write(self, path: Path, newest: int, views: Iterable[View]) -> None:
        import duckdb

        is_complete = True
        with duckdb.connect(str(path)) as connection:
            for view in views:
                try:
                    connection.execute(f'CREATE SCHEMA IF NOT EXISTS "{view.schema}"')
                    connection.execute(definition(view, self._lake))
                except duckdb.Error as error:
                    is_complete = False
                    _LOG.warning("no view %s.%s: %s", view.schema, view.name, _sentence(error))
            connection.execute("CREATE SCHEMA _manifest")
            connection.execute(
                f"CREATE VIEW {_STAMP} AS SELECT {newest} AS commit_id,"
                f" {quoted(str(self._lake))} AS root, {is_complete} AS is_complete"
            )

    def _check_files(self, views: Iterable[View]) -> list[str]:
        paths: list[str] = []
        for view in views:
            for table in view.tables:
                read_checked(self._root, table.file, label(table.asset, table.partition))
                paths.append(str(self._lake / table.file.path))
        return paths


def _log_of(database: Path) -> Path:
    return database.with_name(f"{database.name}.wal")


def _refuse_unless_select(sql: str) -> None:
    import duckdb

    if any("\ud800" <= character <= "\udfff" for character in sql):
        msg = f"query {sql.strip()[:80]!r} holds bytes that are no text; expected UTF-8"
        raise UserError(msg)
    try:
        statements = duckdb.extract_statements(sql)
    except duckdb.Error as error:
        raise UserError(_sentence(error)) from error
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        msg = f"query {sql.strip()[:80]!r} is not one SELECT statement; expected exactly one"
        raise UserError(msg)


def _attach(path: Path) -> "DuckDBPyConnection | None":
    """Open a catalog in a fresh in-memory database, or return None if it is not one.

    A connection straight to the file would be shared, with its settings, by all of this process.
    """
    import duckdb

    connection = duckdb.connect(":memory:")
    try:
        connection.execute(f"ATTACH {quoted(str(path))} AS catalog (READ_ONLY)")
        connection.execute("USE catalog")
        _read_stamp(connection)
    except duckdb.Error:
        connection.close()
        return None
    return connection


def _read_stamp(connection: "DuckDBPyConnection") -> tuple[int, str, bool]:
    row = connection.execute(f"FROM {_STAMP}").fetchone()
    assert row is not None
    return int(row[0]), str(row[1]), bool(row[2])


def _restrict(connection: "DuckDBPyConnection", paths: Sequence[str]) -> None:
    # Also in escaped form, in which views name them: DuckDB compares before it expands.
    allowed = ", ".join(quoted(p) for path in paths for p in sorted({path, escaped(path)}))
    settings: Mapping[str, str] = {
        "TimeZone": "'UTC'",
        "temp_directory": "''",
        "python_enable_replacements": "false",
        "allowed_paths": f"[{allowed}]",
        "enable_external_access": "false",
        "lock_configuration": "true",
    }
    for name, value in settings.items():
        connection.execute(f"SET {name}={value}")


def _sentence(error: Exception) -> str:
    text = " ".join(str(error).split("\n\nLINE")[0].split())
    return text if len(text) <= _LONGEST_SENTENCE else f"{text[:_LONGEST_SENTENCE]} ..."
