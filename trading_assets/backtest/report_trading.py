"""The report's table of how portfolios traded."""

from collections.abc import Mapping
from html import escape

from trading_assets.backtest.cells import MARK, number, percent
from trading_assets.backtest.figures import PortfolioFigures
from trading_assets.backtest.page_parts import Table
from trading_assets.backtest.report_tables import shown_order
from trading_assets.backtest.trading_figures import TradingFigures

_HEADER = (
    "Portfolio",
    "Round trips",
    "Held, sessions",
    "Winning trips",
    "Average trip, bps",
    "Gaining bars",
    "Slippage, bps",
    "Cost, bps",
    "Cost share",
    "Turn\N{SOFT HYPHEN}over",
    "Expo\N{SOFT HYPHEN}sure",
)


def trading_table(
    trading: Mapping[str, TradingFigures], figures: Mapping[str, PortfolioFigures]
) -> Table:
    """Return how each portfolio traded, in the order of the table of figures.

    Parameters
    ----------
    trading, figures : mapping of str to figures
        By portfolio.
    """
    names, muted = shown_order(figures)
    return Table(
        caption=(
            "Over all folds; a round trip is from flat to flat or to the other side of a symbol,"
            " after costs; trips that a fold's end cuts off count for their length alone"
        ),
        header=_HEADER,
        rows=[_row(name, trading[name], figures[name]) for name in names],
        muted=muted,
    )


def _row(name: str, trading: TradingFigures, figures: PortfolioFigures) -> list[str]:
    mark = "" if figures.is_complete else f'<span class="mark">{MARK}</span>'
    return [
        f"{escape(name)}{mark}",
        number(trading.round_trips, 0),
        number(trading.holding_sessions, 1),
        percent(trading.trade_hit_rate, 0),
        number(trading.average_trade_bps, 1),
        percent(figures.hit_rate, 0),
        number(trading.slippage_bps),
        number(trading.cost_bps),
        percent(figures.cost_share_of_gains),
        number(figures.turnover_annual, 1),
        percent(figures.exposure, 0),
    ]
