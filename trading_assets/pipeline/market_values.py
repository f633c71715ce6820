"""The declared values of a data set that decide which bars there are."""

from typing import Any

from trading_assets.market_data import MarketDataSpec

# A data set that goes on, or says something else of itself, is the same one.
_SAME_DATA = {"description", "profiles", "end"}


def market_values(market: MarketDataSpec) -> dict[str, Any]:
    """Return the declared values of a data set that decide which bars there are."""
    return market.model_dump(mode="json", exclude=_SAME_DATA)
