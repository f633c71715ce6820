"""SQL from a user: one SELECT over the lake's views, and nothing beside them can be read or changed."""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
from hypothesis import strategies as st

from trading_assets.lake.store import Lake
from trading_assets_tests.fuzz.harness import SECRET, Check, Counts, Target, refusal_of
from trading_assets_tests.fuzz.material import ABSOLUTE, texts
from trading_assets_tests.lake.samples import commit, open_lake

_ROWS = 40
# Statements with the number of rows of their answer.
GOOD = {
    "SELECT * FROM us_daily.raw_bars": _ROWS,
    "select count(*) as n from us_daily.raw_bars;": 1,
    "SELECT symbol, max(close) FROM us_daily.raw_bars GROUP BY ALL ORDER BY 1 -- the end": 2,
    "WITH x AS (SELECT 1 AS a) SELECT * FROM x": 1,
    "FROM us_daily.raw_bars LIMIT 3": 3,
    "SELECT 1 AS a, 2 AS a": 1,
    'SELECT 1 AS "a\'b", 2 AS "x;y"': 1,
    "SELECT 170141183460469231731687303715884105727::HUGEINT AS h": 1,
    "SELECT uuid() AS u, 'x'::BLOB AS o, 'INTERVAL' AS \"BIT\", {'BIT': 1} AS s": 1,
    "SELECT MAP {'a': 1} AS m, {'a': 1, 'b': [1, 2]} AS s, [1, NULL] AS l": 1,
    "SELECT 1.5::DECIMAL(38, 10) AS d, 'a'::ENUM('a', 'b') AS e": 1,
    "SELECT TIMESTAMP '9999-12-31 23:59:59.999999' AS t, DATE '0001-01-01' AS d": 1,
    "SELECT 'infinity'::DOUBLE AS i, 'nan'::DOUBLE AS n, [DATE '2000-01-01'] AS d": 1,
    "SELECT CAST(INTERVAL 3 MONTH AS TEXT) AS i, TIME '23:59:59' AS u": 1,
    "SELECT TIMESTAMPTZ '2000-01-01 00:00:00+00' AS t, TIMESTAMP_NS '2000-01-01' AS n": 1,
    "SELECT NULL AS n, [] AS e, [NULL] AS f": 1,
    "SELECT * FROM range(0)": 0,
    "SELECT * FROM duckdb_tables() WHERE false": 0,
}
_PLACES = ("{outside}/secret.html", "{root}/manifest.sqlite", "{unnamed}", "/etc/passwd", ABSOLUTE)
# Statements that reach out; {} is a place of the above.
_REACHING = (
    "SELECT * FROM read_text('{}')",
    "SELECT * FROM read_csv('{}')",
    "SELECT * FROM read_csv_auto(['{}'])",
    "SELECT * FROM read_blob('{}')",
    "SELECT * FROM read_json('{}')",
    "SELECT * FROM read_parquet('{}')",
    "SELECT * FROM parquet_metadata('{}')",
    "SELECT * FROM parquet_schema('{}')",
    "SELECT * FROM sniff_csv('{}')",
    "SELECT * FROM glob('{}*')",
    "SELECT * FROM '{}'",
    'SELECT * FROM "{}"',
    "SELECT * FROM us_daily.raw_bars, read_text('{}')",
    "SELECT * FROM query('SELECT * FROM read_text(''{}'')')",
    "SELECT (SELECT content FROM read_text('{}')) AS c FROM us_daily.raw_bars",
    "COPY (SELECT 1) TO '{}'",
    "COPY us_daily.raw_bars TO '{}' (FORMAT CSV)",
    "EXPORT DATABASE '{}'",
    "IMPORT DATABASE '{}'",
    "ATTACH '{}' AS other",
    "LOAD '{}'",
    "SELECT 1; COPY (SELECT 1) TO '{}'",
    "SELECT 1; ATTACH '{}'",
)
_CHANGING = (
    "DROP VIEW us_daily.raw_bars", "DROP SCHEMA us_daily CASCADE", "CREATE TABLE t (a INT)",
    "INSERT INTO _manifest.built_from VALUES (1)", "UPDATE us_daily.raw_bars SET close = 1",
    "DELETE FROM us_daily.raw_bars", "ALTER VIEW us_daily.raw_bars RENAME TO x", "VACUUM",
    "SET enable_external_access=true", "RESET lock_configuration", "PRAGMA database_list",
    "SET allowed_paths=['/']", "INSTALL httpfs", "LOAD httpfs", "CALL pragma_version()", "CHECKPOINT",
    "SELECT 1; DROP VIEW us_daily.raw_bars", "BEGIN", "USE memory", "DETACH catalog", "EXPLAIN SELECT 1",
    "CREATE MACRO f(x) AS x", "CREATE SECRET s (TYPE s3)", "PREPARE p AS SELECT 1", "", ";", "-- x",
    "SELECT * FROM us_daily.raw_bars WHERE close = ''')", "SELECT", "SELECT * FROM nothing.here",
    "SELECT * FROM us_daily", "SELECT 1 FROM", "SELECT 1/*", "SELECT error('x')",
    "SELECT INTERVAL 3 MONTH AS i", "SELECT '12:00:00+05'::TIMETZ AS t", "SELECT '101'::BIT AS b",
    "SELECT union_value(num := 2) AS u", "SELECT 340282366920938463463374607431768211455::UHUGEINT",
    "SELECT 'infinity'::TIMESTAMP AS t", "SELECT DATE '5881580-07-10' AS d", "SELECT '-infinity'::DATE",
    "SELECT ['infinity'::TIMESTAMPTZ] AS l", "SELECT {'a': [DATE '10000-01-01']} AS s",
    "SELECT 1::NOTYPE", "SELECT 'x'::INT", "SELECT 2000000000::SMALLINT", "SELECT nosuch(1)",
)  # fmt: skip


class Given(NamedTuple):
    """A kind of statement, and the text it is made of."""

    kind: str
    text: str
    place: str = ""


@contextmanager
def _open(folder: Path) -> Generator[Check]:
    lake = open_lake(folder / "lake")
    commit(lake, "2000-01-01", "2000-02-01")
    commit(lake, "2000-01-01", asset="other/hidden", verdict="failed")
    record = lake.record("other/hidden", "2000-01-01")
    assert record is not None
    places = {
        "outside": str(folder.parent / "outside"),
        "root": str(lake.root),
        "unnamed": str(lake.root / record.files[0].path),
    }
    before = _files(lake.root)
    try:

        def check(given: Given, counts: Counts) -> None:
            _check(lake, given, given.place.format(**places), counts)

        yield check
        assert lake.query("SELECT * FROM us_daily.raw_bars").height == _ROWS
        assert _files(lake.root) - {"catalog.duckdb", ".locks/catalog"} == before
    finally:
        lake.close()


def _check(lake: Lake, given: Given, place: str, counts: Counts) -> None:
    answers: list[pl.DataFrame] = []
    sql = _statement(given, place)
    refused = refusal_of(lambda: answers.append(lake.query(sql)))
    counts.add(accepted=refused is None)
    told = str(refused) if answers == [] else str(answers[0].rows())
    assert SECRET not in told, sql
    assert "root:" not in told, sql
    if given.kind == "good":
        assert refused is None, refused
        assert answers[0].height == GOOD[given.text]
    elif given.kind in ("reaching", "changing"):
        assert refused is not None, f"{sql} gave {told[:200]}"
    elif given.kind == "literal":
        is_text = not any("\ud800" <= character <= "\udfff" for character in given.text)
        assert (refused is None) == is_text, refused
        assert refused is not None or answers[0].rows() == [(given.text,)], answers
    elif given.kind == "name":
        is_column = given.text.lower() in ("symbol", "time", "close", "partition")
        assert (refused is None) == is_column, f"{given.text!r} {told[:200]}"


def _statement(given: Given, place: str) -> str:
    if given.kind == "reaching":
        return given.text.replace("{}", place)
    if given.kind == "literal":
        return "SELECT '" + given.text.replace("'", "''") + "' AS found"
    if given.kind == "name":
        return 'SELECT "' + given.text.replace('"', '""') + '" FROM us_daily.raw_bars'
    return given.text


def _files(root: Path) -> set[str]:
    found = (path for path in root.rglob("*") if path.is_file())
    return {str(path.relative_to(root)) for path in found if path.suffix[:7] != ".sqlite"}


def _given(kind: str, made_of: st.SearchStrategy[Any]) -> st.SearchStrategy[Given]:
    return st.builds(Given, st.just(kind), made_of, st.sampled_from(_PLACES))


_broken = st.builds(
    lambda sql, text, place: sql[:place] + text + sql[place:],
    st.sampled_from(sorted(GOOD)),
    texts(),
    st.integers(0, 60),
)
_inputs = st.one_of(
    _given("good", st.sampled_from(sorted(GOOD))),
    _given("literal", texts()),
    _given("literal", texts()),
    _given("reaching", st.sampled_from(_REACHING)),
    _given("changing", st.sampled_from(_CHANGING)),
    _given("name", st.one_of(st.sampled_from(("symbol", "Close", "time")), texts()).filter(bool)),
    _given("any", st.one_of(texts(), _broken)),
)

TARGET = Target(
    "sql_text",
    _inputs,
    _open,
    quick=30,
    full=1_500,
    pinned=(
        *(
            Given("changing", sql)
            for sql in (
                "SELECT INTERVAL 3 MONTH AS i",
                "SELECT union_value(num := 2) AS u",
                "SELECT 'infinity'::TIMESTAMP AS t",
                "SELECT ['infinity'::TIMESTAMPTZ] AS l",
                "SELECT '12:00:00+05'::TIMETZ AS t",
            )
        ),
        Given("literal", "\ud800"),
        Given("literal", "\0'"),
        Given("any", "SELECT " + "A" * 10_000),
        Given("reaching", "SELECT * FROM read_parquet('{}')", "{unnamed}"),
    ),
)
