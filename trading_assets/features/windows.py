"""How far back a month's features look, in months and bars; imports nothing heavy.

Features of a month are computed from the bars of the `LOOKBACK_MONTHS` months before it and of the
month itself, whatever else is stored, so their bytes are the same alone, in a range or in a full
run.
"""

from datetime import date, timedelta

LOOKBACK_MONTHS = 25
# The fewest sessions of so many months since 1990.
LOOKBACK_BARS = 519
SCALE_MIN_BARS = 63

VOLATILITY_COLUMN = "volatility_1d"


def month_of(day: date) -> date:
    """Return the first day of the month that holds `day`."""
    return day.replace(day=1)


def shift_month(month_first_day: date, months: int) -> date:
    """Return the first day of the month `months` later (earlier when negative)."""
    count = month_first_day.year * 12 + month_first_day.month - 1 + months
    return date(count // 12, count % 12 + 1, 1)


def month_end(month_first_day: date) -> date:
    """Return the last day of the month."""
    return shift_month(month_first_day, 1) - timedelta(days=1)


def input_window(month_first_day: date) -> tuple[date, date]:
    """Return the first and last day of the bars that a month's features may use, inclusive."""
    return shift_month(month_first_day, -LOOKBACK_MONTHS), month_end(month_first_day)
