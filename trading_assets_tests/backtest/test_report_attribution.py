"""What the report says of where the profit came from."""

import re
from dataclasses import replace
from datetime import date
from functools import cache

import numpy as np
import polars as pl
import pytest

from trading_assets.backtest.attribution.by_member import REMAINDER
from trading_assets.backtest.attribution.profit_attribution import attribute_profit
from trading_assets.backtest.attribution.profit_parts import EXACTNESS, ProfitParts
from trading_assets.backtest.explanation.fold_explanation import TABLE_NAMES, FoldExplanation
from trading_assets.backtest.report_attribution import attribution_figures, attribution_section
from trading_assets.backtest.report_attribution_tables import members_table, profit_table
from trading_assets.schema import TABLES
from trading_assets_tests.backtest.test_report import (
    KEYS,
    declared,
    fold_record,
    inputs_of,
    judged,
    without,
)

NAME = "ppo/ensemble"


def frame_of(table, rows):
    schema = {c.name: c.dtype for c in TABLES[table].columns}
    return pl.DataFrame(rows, schema=schema, orient="row")


@cache
def explained(key, alpha=0.0):
    """Return a fold whose explanation has factors that leave this alpha of the net returns."""
    record = fold_record(key, 0.0)
    holdings = record.tables.holdings.filter(pl.col("portfolio") == NAME)
    equity = record.tables.equity.filter(pl.col("portfolio") == NAME).sort("session")
    days = equity["session"].to_list()
    values = equity["equity_usd"].to_numpy()
    own = values / np.concatenate([[1_000_000.0], values[:-1]]) - 1.0
    noise = np.random.default_rng(0).normal(0.0, 1e-4, len(days))
    market = own - alpha + noise - noise.mean()
    states = [
        (day, float(m), None, None, "calm" if place % 2 else "wild", None)
        for place, (day, m) in enumerate(zip(days, market, strict=True))
    ]
    gains = holdings.group_by("session").agg(pl.col("gain_usd").sum()).sort("session")
    members = [
        (NAME, day, member, share * gain)
        for day, gain in gains.iter_rows()
        for member, share in (("ppo/seed-0", 0.7), ("ppo/seed-1", 0.4), (REMAINDER, -0.1))
    ]
    returns = [
        (day, symbol, 0.001) for day in days for symbol in holdings["symbol"].unique().sort()
    ]
    tables = {name: TABLES[name].empty() for name in TABLE_NAMES}
    tables |= {
        "market_states": frame_of("market_states", states),
        "member_gains": frame_of("member_gains", members),
        "symbol_returns": frame_of("symbol_returns", returns),
    }
    return replace(record, explanation=FoldExplanation(tables))


SECTORS = {"sectors": {"A": "tech", "B": "tech"}, "max_sector_gross": 0.9}


def section(records, strategy=None):
    strategy = strategy or declared()
    return attribution_section(attribute_profit(records, strategy), records, KEYS, strategy)


def test_every_attribution_adds_up():
    found = attribute_profit([explained(key) for key in KEYS], declared(risk=SECTORS))
    assert found.folds == found.explained_folds == KEYS
    parts = [found.symbols, found.sides, found.costs, *(p for p, _ in found.regimes.values())]
    assert max(each.gap for each in parts) <= EXACTNESS
    assert {each.total_usd for each in parts} == {found.symbols.total_usd}
    assert found.active.gap <= EXACTNESS
    gained = found.costs.gain_usd[0]
    assert sum(found.members.values()) == pytest.approx(gained, rel=1e-9)
    assert sum(found.factors.parts.values()) == pytest.approx(found.factors.total, rel=1e-9)
    assert list(found.regimes) == ["volatility"]


def test_sectors_are_told_only_where_they_are_declared():
    assert attribute_profit([explained(KEYS[0])], declared()).active is None
    captions = [table.caption for table in section([explained(KEYS[0])]).tables]
    assert not any("sector" in caption for caption in captions)
    with_sectors = section([explained(KEYS[0])], declared(risk=SECTORS))
    assert with_sectors.tables[-1].caption.startswith("By sector: ")
    assert [row[0] for row in with_sectors.tables[-1].rows] == [
        "C",
        "tech",
        "cash",
        "costs",
        "active return",
    ]


def test_what_was_made_is_the_first_finding():
    found = section([explained(key) for key in KEYS])
    assert found.findings[0].claim.startswith((f"{NAME} made", f"{NAME} lost"))
    assert "over 2 folds." in found.findings[0].claim
    assert "Gains of" in found.findings[0].evidence


@pytest.mark.parametrize(
    ("alpha", "kind", "claim"),
    [
        (0.001, "beats", "After market something is left."),
        (-0.001, "behind", "After market a loss is left."),
        (0.0, "undecided", "After market nothing is left that can be told from chance."),
    ],
)
def test_what_factors_leave_is_told_with_its_error(alpha, kind, claim):
    records = [explained(key, alpha) for key in KEYS]
    finding = section(records).findings[1]
    assert (finding.kind, finding.claim) == (kind, claim)
    assert re.match(r"Alpha -?\d+\.\d\d bps a session, Newey-West t", finding.evidence)
    fit = attribute_profit(records, declared()).factors
    assert fit.coefficients == pytest.approx((alpha, 1.0), abs=0.01)
    assert fit.coefficients[0] == pytest.approx(alpha, abs=1e-5)


def test_folds_that_lack_a_table_are_named_and_nothing_is_filled_in():
    records = [explained(KEYS[0]), fold_record(KEYS[1], 0.0)]
    found = attribute_profit(records, declared())
    assert (found.folds, found.explained_folds) == (KEYS, KEYS[:1])
    claims = [finding.claim for finding in section(records).findings]
    assert claims[-1] == (f"Folds without profit by member, regime, factor and sector: {KEYS[1]}.")
    alone = section([explained(KEYS[0]), without(fold_record(KEYS[1], 0.0), NAME)])
    assert alone.findings[-1].claim == (
        f"Folds without profit by symbol, side and cost: {KEYS[1]}."
    )
    sessions = found.factors.sessions
    assert sessions == len(records[0].explanation.tables["market_states"])


def test_without_any_book_the_section_says_so():
    records = [without(fold_record(key, 0.0), NAME) for key in KEYS]
    found = section(records)
    assert [finding.kind for finding in found.findings] == ["unknown"]
    assert (found.tables, found.drawings) == ((), ())
    assert attribution_figures(attribute_profit(records, declared())) == {}


def test_a_large_universe_shows_its_ends_and_the_sum_of_what_is_between():
    names = tuple(f"S{place:02d}" for place in range(30))
    gains = tuple(float(place) for place in range(30))
    parts = ProfitParts(names, gains, (1.0,) * 30, sum(gains) - 30.0)
    rows = profit_table(parts, "by symbol").rows
    assert len(rows) == 22
    assert rows[0][0] == "S29"
    assert rows[10][:4] == ["10 between", "145", "10", "135"]
    assert rows[-1][:4] == ["sum", "435", "30", "405"]


def test_agents_of_several_members_are_shown_as_sums():
    gains = {"a/seed-0": 1.0, "b/seed-0": 2.0, "b/seed-1": 3.0, REMAINDER: 4.0}
    rows = members_table(gains).rows
    assert [row[:2] for row in rows] == [
        ["a", "1"],
        ["b", "5"],
        ["a/seed-0", "1"],
        ["b/seed-0", "2"],
        ["b/seed-1", "3"],
        [REMAINDER, "4"],
        ["sum of gains", "10"],
    ]
    assert members_table({"a/seed-0": 1.0, REMAINDER: 0.0}).rows[0][0] == "a/seed-0"


def test_figures_and_page_are_the_same_again():
    inputs = inputs_of([explained(key) for key in KEYS])
    first, again = judged(inputs), judged(inputs)
    assert first.html == again.html
    figures = first.figures["profit"]
    assert figures["portfolio"] == NAME
    assert sum(figures["by_symbol"].values()) == pytest.approx(figures["net_usd"])
    assert figures["factors"]["left_out"] == ["momentum", "low_volatility"]
    assert "<h2>Where the profit came from</h2>" in first.html
    assert 'aria-label="Gains, costs and net profit of ppo/ensemble"' in first.html
    assert date.fromisoformat(figures["folds"][0]) == date(2020, 1, 1)
