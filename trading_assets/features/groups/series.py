"""Declared series as they are: the newest value that was known with the bar."""

from trading_assets.features.definition import FeatureDefinition
from trading_assets.features.groups.context import series_input

_GROUP = "series"


def series_feature(name: str, series: str, *, is_scaled: bool = True) -> FeatureDefinition:
    """Return the feature that passes a declared series on."""
    return FeatureDefinition(
        name,
        _GROUP,
        f"newest value of the series `{series}` known with the bar",
        "the series' own",
        series_input(series),
        is_scaled=is_scaled,
        series=(series,),
    )


FURTHER = (series_feature("signal", "signal", is_scaled=False),)
