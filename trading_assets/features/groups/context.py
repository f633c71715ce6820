"""Sentiment and macro: declared series that are not about the price; null without them."""

from trading_assets.features.definition import FeatureDefinition
from trading_assets.features.expressions import Column, bar_input
from trading_assets.features.operations import decayed_mean, z_score

_GROUP = "context"
_PREFIX = "series:"


def series_input(name: str) -> Column:
    """Return the newest value of a declared series that was known with the bar."""
    return bar_input(f"{_PREFIX}{name}")


def series_of(column: Column) -> tuple[str, ...]:
    """Return the declared series that an expression reads."""
    names = sorted(column.input_names())
    return tuple(name.removeprefix(_PREFIX) for name in names if name.startswith(_PREFIX))


def _of_series(name: str, formula: str, unit: str, expression: Column) -> FeatureDefinition:
    return FeatureDefinition(name, _GROUP, formula, unit, expression, series=series_of(expression))


FEATURES = (
    _of_series(
        "sentiment_ewma_10",
        "mean of news_score weighted by (1 - 2 / 11)^age over 40 bars",
        "-1..1",
        decayed_mean(series_input("news_score"), 1.0 - 2.0 / 11.0, 40),
    ),
    _of_series(
        "news_count_z_63",
        "z-score of news_count in 63 bars",
        "sd",
        z_score(series_input("news_count"), 63),
    ),
    _of_series(
        "term_spread_z_252",
        "z-score of the series term_spread in 252 bars",
        "sd",
        z_score(series_input("term_spread"), 252),
    ),
    _of_series(
        "credit_spread_z_252",
        "z-score of the series credit_spread in 252 bars",
        "sd",
        z_score(series_input("credit_spread"), 252),
    ),
)
