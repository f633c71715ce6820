"""Trades every group by all splits that test it, and chains the groups to paths."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import polars as pl

from trading_assets.backtest.baselines import baseline_absences, baseline_decisions
from trading_assets.backtest.cross_validation.divided_market import DividedMarket
from trading_assets.backtest.engine import Decide, trade_decisions
from trading_assets.backtest.folds import Fold
from trading_assets.backtest.metrics import Series
from trading_assets.backtest.net_returns import returns_of
from trading_assets.schema import conform
from trading_assets.simulation.compiled.layout import EQUITY, EQUITY_BEFORE

# Baselines are not fitted: they are traded once, on no path.
NO_PATH = 0


@dataclass(frozen=True, slots=True)
class TradedPaths:
    """What was earned on all paths.

    Attributes
    ----------
    returns : DataFrame
        Table `cross_validated_returns`.
    absences : mapping of str to str
        Why a portfolio is not among them, by name.
    """

    returns: pl.DataFrame
    absences: Mapping[str, str]


def trade_paths(
    divided: DividedMarket, decisions: Mapping[str, Mapping[int, Decide]]
) -> TradedPaths:
    """Trade each test group, starting from cash, and chain the groups to paths.

    A portfolio that loses all its equity in a group has no path and is left out, as are baselines
    that lack returns at the first decision of a group.

    Parameters
    ----------
    divided : DividedMarket
        The market and its groups.
    decisions : mapping of str to mapping of int to Decide
        What decides in the groups that a split tests, by policy and number of the split.
    """
    splits, absences = divided.splits, dict[str, str]()
    frames: list[pl.DataFrame] = []
    for group, sessions in enumerate(splits.groups):
        window = _window(sessions)
        tested = {
            (policy, path + 1, split.number + 1): decisions[policy][split.number]
            for policy in decisions
            for path, split in enumerate(splits.tested_by(group))
        }
        naive = {
            (name, NO_PATH, 0): decide
            for name, decide in baseline_decisions(divided.market, window).items()
        }
        absences |= baseline_absences(divided.market, window)
        found, lost = _trade(divided, group, {**tested, **naive})
        absences |= lost
        frames += [_tabulate(sessions, group, origin, returns) for origin, returns in found.items()]
    whole = pl.concat(frames).filter(~pl.col("portfolio").is_in([*absences]))
    table = conform("cross_validated_returns", whole)
    return TradedPaths(table.sort("portfolio", "path", "session"), absences)


Origin = tuple[str, int, int]


def _trade(
    divided: DividedMarket, group: int, decisions: Mapping[Origin, Decide]
) -> tuple[dict[Origin, Series], dict[str, str]]:
    """Return net returns of one group by portfolio, path and split, and who lost all equity."""
    named = {f"{name} {path:04d}": origin for origin in decisions for name, path in [origin[:2]]}
    traded = trade_decisions(
        divided.market,
        {label: decisions[origin] for label, origin in named.items()},
        divided.strategy,
        divided.group_rows(group),
    )
    initial_usd = divided.strategy.backtest.initial_equity_usd
    found: dict[Origin, Series] = {}
    lost: dict[str, str] = {}
    for place, label in enumerate(traded.portfolios):
        name, _, split = named[label]
        before, after = (traded.outcomes[:, place, field] for field in (EQUITY_BEFORE, EQUITY))
        if not (np.minimum(before, after) > 0.0).all():
            fitted = f"split {split}: " if split else ""
            lost[name] = f"{fitted}it loses all its equity in group {group + 1}"
            continue
        found[named[label]] = returns_of(after, initial_usd)
    return found, lost


def _tabulate(
    sessions: tuple[date, ...], group: int, origin: Origin, returns: Series
) -> pl.DataFrame:
    name, path, split = origin
    return pl.DataFrame({"session": sessions, "net_return": returns}).with_columns(
        pl.lit(name).alias("portfolio"),
        pl.lit(path, pl.Int32).alias("path"),
        pl.lit(group + 1, pl.Int32).alias("group"),
        pl.lit(split, pl.Int32).alias("split"),
    )


def _window(sessions: tuple[date, ...]) -> Fold:
    """Return a group as the window that baselines ask for the days of."""
    before = sessions[0] - timedelta(days=1)
    return Fold(
        key=sessions[0].isoformat(),
        train_start=before,
        train_end=before,
        validation_start=before,
        test_start=sessions[0],
        test_end=sessions[-1],
    )
