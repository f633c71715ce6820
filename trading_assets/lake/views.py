"""The views of the catalog: which there are, and their SQL."""

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from trading_assets.lake.manifest import StoredTable
from trading_assets.lake.names import TABLE_SUFFIX


@dataclass(frozen=True, slots=True)
class View:
    """One view: `schema.name` over the tables of an asset's current, passed partitions."""

    schema: str
    name: str
    tables: tuple[StoredTable, ...]


def views_of(stored: Iterable[StoredTable]) -> list[View]:
    """Return the views over stored tables; the table `rows` gives its asset's view its name."""
    grouped: defaultdict[tuple[str, str], list[StoredTable]] = defaultdict(list)
    for table in stored:
        schema, _, rest = table.asset.partition("/")
        parts = rest.split("/")
        kind = table.file.name.removesuffix(TABLE_SUFFIX)
        name = "__".join(parts if kind == "rows" else [*parts, kind])
        grouped[schema, name].append(table)
    return [View(schema, name, tuple(tables)) for (schema, name), tables in grouped.items()]


def definition(view: View, root: Path) -> str:
    """Return the statement that creates a view over files under an absolute root."""
    paths = ", ".join(quoted(escaped(str(root / table.file.path))) for table in view.tables)
    source = f"read_parquet([{paths}], filename='_file', union_by_name=true)"
    columns = "* EXCLUDE (_file)"
    if any(table.partition for table in view.tables):
        day = r"regexp_extract(_file, '/([0-9]{4}-[0-9]{2}-[0-9]{2})/[^/]*$', 1)"
        columns = f'CAST({day} AS DATE) AS "partition", {columns}'
    # Names are allow-listed and paths quoted.
    return f'CREATE VIEW "{view.schema}"."{view.name}" AS SELECT {columns} FROM {source}'  # noqa: S608


def named_in(sql: str, views: Iterable[View]) -> list[View]:
    """Return every view that a query could mean; the others' files stay closed to it."""
    words = set(re.findall(r"[a-z0-9_]+", sql.lower()))
    return [view for view in views if view.schema in words and view.name in words]


def quoted(text: str) -> str:
    """Return a text as an SQL literal."""
    escaped = text.replace("'", "''")
    return f"'{escaped}'"


def escaped(path: str) -> str:
    """Return a path that matches only itself where DuckDB expands patterns."""
    return re.sub(r"([\[*?])", r"[\1]", path)
