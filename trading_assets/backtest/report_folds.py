"""The report's tables of folds: what each portfolio made of each test window, side by side."""

from collections.abc import Mapping, Sequence
from html import escape

import numpy as np

from trading_assets.backtest.cells import DASH, MARK, number, percent
from trading_assets.backtest.metrics import Series, growth, sharpe_annual
from trading_assets.backtest.page_parts import Table
from trading_assets.backtest.report_tables import that_trade
from trading_assets.backtest.track_record import FoldRecord, TrackRecord
from trading_assets.strategy import Strategy

_MARK = f'<span class="mark">{MARK}</span>'
_MISSING = f"{DASH}{_MARK}"


def fold_tables(
    folds: Sequence[FoldRecord],
    records: Mapping[str, TrackRecord],
    order: Sequence[str],
    strategy: Strategy,
) -> list[Table]:
    """Return portfolios by folds: net returns, then annual Sharpe ratios, then the windows.

    Parameters
    ----------
    folds : sequence of FoldRecord
        What was backtested.
    records : mapping of str to TrackRecord
        Of all portfolios; a fold that one lacks is a marked dash.
    order : sequence of str
        Portfolios as tables list them; seeds and cash are left out.
    strategy : Strategy
        Its agents, whose seeds' Sharpe ratios are given as a range.
    """
    by_key = {record.fold.key: record for record in folds}
    keys = sorted({*by_key, *(gap.fold for record in records.values() for gap in record.gaps)})
    shown = [records[name] for name in that_trade(order)]
    header = ["Portfolio", *(escape(key) for key in keys)]
    agents = sorted(strategy.policy.agents)
    returns = Table(
        caption="Net return of each test window, by its first day",
        header=header,
        rows=[[_name(own), *(_return(own.of_fold(key)) for key in keys)] for own in shown],
    )
    ratios = Table(
        caption="Annual Sharpe ratio of each test window, by its first day",
        header=header,
        rows=[
            *([_name(own), *(_ratio(own.of_fold(key)) for key in keys)] for own in shown),
            *(
                [f"{escape(agent)}, its seeds", *(_seeds(records, agent, key) for key in keys)]
                for agent in agents
            ),
        ],
    )
    windows = Table(
        caption="Windows of each fold",
        header=["Test window from", "to", "Trained from", "to"],
        rows=[
            [escape(key), *(_windows(by_key[key]) if key in by_key else [_MISSING] * 3)]
            for key in keys
        ],
    )
    return [returns, ratios, windows]


def _name(record: TrackRecord) -> str:
    return f"{escape(record.portfolio)}{_MARK if record.gaps else ''}"


def _return(returns: Series) -> str:
    return percent(float(growth(returns)[-1]) - 1.0) if len(returns) else _MISSING


def _ratio(returns: Series) -> str:
    return number(sharpe_annual(returns)) if len(returns) else _MISSING


def _windows(record: FoldRecord) -> list[str]:
    fold = record.fold
    return [str(day) for day in (fold.test_end, fold.train_start, fold.train_end)]


def _seeds(records: Mapping[str, TrackRecord], agent: str, key: str) -> str:
    parts = [own.of_fold(key) for name, own in records.items() if name.startswith(f"{agent}/seed-")]
    ratios = np.array([sharpe_annual(part) for part in parts])
    defined = ratios[np.isfinite(ratios)]
    if not len(defined):
        return DASH
    mark = "" if all(len(part) for part in parts) else _MARK
    return f"{number(float(defined.min()))} to {number(float(defined.max()))}{mark}"
