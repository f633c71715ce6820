"""Which names the lake allows: they become folders, views and SQL, so anything else is refused."""

import re
from datetime import date

from trading_assets.errors import DataError

TABLE_SUFFIX = ".parquet"

_ASSET = re.compile(r"[a-z][a-z0-9_]*(/[a-z][a-z0-9_]*)+")
_STAGE = re.compile(r"[a-z][a-z0-9_]*")
_PARTITION = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_BLOB = re.compile(r"[a-z0-9][a-z0-9_-]*([/.][a-z0-9][a-z0-9_-]*)*\.[a-z0-9]{1,16}")
_LONGEST_NAME = 200

# DuckDB has schemas and databases of these names; a data set's views would hide behind them.
RESERVED = frozenset({"catalog", "information_schema", "memory", "pg_catalog", "system", "temp"})


def check_asset(asset: str) -> str:
    """Return an asset key unchanged, or refuse it."""
    if len(asset) > _LONGEST_NAME or not _ASSET.fullmatch(asset):
        msg = (
            f"asset {asset[:_LONGEST_NAME]!r} is not allowed; expected lower-case names joined by"
            " /, such as us_daily/raw_bars"
        )
        raise DataError(msg)
    owner = asset.partition("/")[0]
    if owner in RESERVED:
        msg = f"asset {asset!r} is not allowed; expected another first name than {owner}, SQL's own"
        raise DataError(msg)
    return asset


def check_partition(partition: str | None) -> str:
    """Return a partition key, empty for None, or refuse it."""
    key = partition or ""
    if key and not (_PARTITION.fullmatch(key) and _is_day(key)):
        msg = (
            f"partition {key[:_LONGEST_NAME]!r} is not allowed; expected a day as YYYY-MM-DD, or"
            " nothing"
        )
        raise DataError(msg)
    return key


def _is_day(key: str) -> bool:
    try:
        date.fromisoformat(key)
    except ValueError:
        return False
    return True


def check_stage(stage: str) -> str:
    """Return a stage unchanged, or refuse it."""
    if len(stage) > _LONGEST_NAME or not _STAGE.fullmatch(stage):
        msg = f"stage {stage[:_LONGEST_NAME]!r} is not allowed; expected a lower-case name"
        raise DataError(msg)
    return stage


def table_file(table: str) -> str:
    """Return the file name of a table, or refuse the table's name."""
    if len(table) > _LONGEST_NAME or not _STAGE.fullmatch(table):
        msg = f"table {table[:_LONGEST_NAME]!r} is not allowed; expected a lower-case name"
        raise DataError(msg)
    return f"{table}{TABLE_SUFFIX}"


def check_blob(name: str) -> str:
    """Return the name of a file that is no table, or refuse it."""
    allowed = len(name) <= _LONGEST_NAME and _BLOB.fullmatch(name)
    if not allowed or name.endswith(TABLE_SUFFIX):
        msg = (
            f"file name {name[:_LONGEST_NAME]!r} is not allowed; expected lower-case letters,"
            " digits, - and _, with a suffix other than .parquet"
        )
        raise DataError(msg)
    return name
