"""Under which names of data sets the trials of one market are counted."""

from collections.abc import Mapping
from typing import Any

from trading_assets.lake.store import CountedTrial, Lake
from trading_assets.pipeline.declared import Declared
from trading_assets.pipeline.made_with import MADE_WITH
from trading_assets.pipeline.market_values import market_values

# Markets that a seed draws. Their symbols are names only: what was drawn otherwise is another one.
_DRAWN = ("world", "synthetic")


def counted_on_market(lake: Lake, declared: Declared) -> list[CountedTrial]:
    """Return what was tried on a strategy's market, under whatever name, oldest first.

    Parameters
    ----------
    lake : Lake
        Holds the ledger.
    declared : Declared
        The strategy.

    Raises
    ------
    DataError
        If stored returns are damaged.
    """
    return lake.counted_trials(*data_sets_of_market(lake, declared))


def data_sets_of_market(lake: Lake, declared: Declared) -> list[str]:
    """Return the names of data sets on which this market was tried, the strategy's own first.

    Another data set is the same market if anything that was tried on it had a symbol of this one;
    of drawn markets, if source and symbol are the same. Periods and vendors may differ: what was
    chosen on one stretch of a stock's history was chosen on that stock.
    """
    own, market = declared.trading.market_data, market_values(declared.market)
    others = {
        name
        for name, config in lake.trial_configs()
        if name != own and is_same_market(market, (config.get(MADE_WITH) or {}).get("market_data"))
    }
    return [own, *sorted(others)]


def is_same_market(one: Mapping[str, Any], other: Mapping[str, Any] | None) -> bool:
    """Say whether two data sets, as values that decide which bars there are, share a symbol.

    Parameters
    ----------
    one, other : mapping of str to values
        As `market_values` returns them; None of a trial that was counted before they were kept.
    """
    if other is None:
        return False
    is_drawn = {one["source"]["kind"], other["source"]["kind"]} & {*_DRAWN}
    if is_drawn and one["source"] != other["source"]:
        return False
    return not {*one["universe"]}.isdisjoint(other["universe"])
