"""Calendar and events: what is known of a bar before it trades."""

from trading_assets.features.definition import FeatureDefinition
from trading_assets.features.expressions import bar_input

_GROUP = "calendar"
# Bars after which an action counts as long ago.
EVENT_BARS = 252

FEATURES = (
    FeatureDefinition(
        "weekday_sin",
        _GROUP,
        "sin(2 pi weekday / 5)",
        "1",
        bar_input("weekday_sin"),
        is_scaled=False,
    ),
    FeatureDefinition(
        "weekday_cos",
        _GROUP,
        "cos(2 pi weekday / 5)",
        "1",
        bar_input("weekday_cos"),
        is_scaled=False,
    ),
    FeatureDefinition(
        "bars_since_action",
        _GROUP,
        f"bars since the newest ex date of a dividend, split or spin-off / {EVENT_BARS}, at most 1",
        "fraction",
        bar_input("bars_since_action", delay=EVENT_BARS - 1),
        is_scaled=False,
    ),
    FeatureDefinition(
        "minutes_from_open",
        _GROUP,
        "minutes from the session's open to the bar's close / minutes of a day; 0 for daily bars",
        "fraction of a day",
        bar_input("minutes_from_open"),
        is_scaled=False,
    ),
)
