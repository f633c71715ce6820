"""How a portfolio traded: how long it held, what a trade earned, what filling it cost."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from trading_assets.backtest.round_trips import find_round_trips
from trading_assets.backtest.track_record import FoldRecord, TrackRecord

_BPS = 1e4


@dataclass(frozen=True, slots=True)
class TradingFigures:
    """Figures of one portfolio's trades over all its folds; nan where there is none to judge.

    Attributes
    ----------
    round_trips : int
        Finished ones; see `round_trips`.
    open_positions : int
        Trips that the end of a fold cut off. Nothing is assumed of their exit.
    holding_sessions : float
        Mean number of closes at which a trip was held, cut off or not.
    trade_hit_rate : float
        Share of finished trips that earned more than they cost.
    average_trade_bps : float
        What finished trips earned after costs, over the notional of their entries, basis points.
    slippage_bps : float
        Spread, impact and quadratic cost over the notional traded, basis points; fees are none.
    cost_bps : float
        All costs of trades over the notional traded, basis points.
    traded_usd : float
        Notional bought and sold, USD.
    """

    round_trips: int
    open_positions: int
    holding_sessions: float
    trade_hit_rate: float
    average_trade_bps: float
    slippage_bps: float
    cost_bps: float
    traded_usd: float


def measure_trading(
    folds: Sequence[FoldRecord], records: Mapping[str, TrackRecord]
) -> dict[str, TradingFigures]:
    """Return how each portfolio traded in the folds that its figures cover.

    Parameters
    ----------
    folds : sequence of FoldRecord
        What was produced.
    records : mapping of str to TrackRecord
        Of all portfolios; a fold that is a gap of one is left out for it.
    """
    trips = [_of_fold(f, find_round_trips(f.tables.holdings, f.tables.trades)) for f in folds]
    fills = [_of_fold(f, f.tables.trades) for f in folds]
    every_trip, every_fill = pl.concat(trips), pl.concat(fills)
    found: dict[str, TradingFigures] = {}
    for name, record in records.items():
        own = pl.col("portfolio") == name
        covered = own & ~pl.col("fold").is_in([gap.fold for gap in record.gaps])
        found[name] = describe_trading(every_trip.filter(covered), every_fill.filter(covered))
    return found


def describe_trading(trips: pl.DataFrame, fills: pl.DataFrame) -> TradingFigures:
    """Return the figures of one portfolio's round trips and fills.

    Parameters
    ----------
    trips : DataFrame
        From `find_round_trips`.
    fills : DataFrame
        Rows of table `trades`.
    """
    finished = trips.filter("is_finished")
    net = (finished["gain_usd"] - finished["cost_usd"]).to_numpy()
    traded = float((fills["quantity"].abs() * fills["price_usd"]).sum())
    cost, fee = float(fills["cost_usd"].sum()), float(fills["fee_usd"].sum())
    return TradingFigures(
        round_trips=len(finished),
        open_positions=len(trips) - len(finished),
        holding_sessions=_share(float(trips["sessions"].sum()), len(trips)),
        trade_hit_rate=_share(float((net > 0.0).sum()), len(finished)),
        average_trade_bps=_BPS * _share(float(net.sum()), float(finished["entry_usd"].sum())),
        slippage_bps=_BPS * _share(cost - fee, traded),
        cost_bps=_BPS * _share(cost, traded),
        traded_usd=traded,
    )


def _of_fold(record: FoldRecord, table: pl.DataFrame) -> pl.DataFrame:
    return table.with_columns(fold=pl.lit(record.fold.key))


def _share(part: float, whole: float) -> float:
    return part / whole if whole > 0.0 else math.nan
