import subprocess
import sys
from datetime import date

import pytest

from trading_assets.bars.calendars.calendar import get_calendar
from trading_assets.errors import UserError
from trading_assets.features.catalogue import FEATURES, feature_names, warm_up_bars
from trading_assets.features.formulas import FORMULAS
from trading_assets.features.windows import (
    LOOKBACK_BARS,
    LOOKBACK_MONTHS,
    SCALE_MIN_BARS,
    input_window,
    shift_month,
)
from trading_assets.strategy import FeaturesSpec


def test_all_means_every_feature_of_bars_but_no_declared_series():
    names = feature_names(FeaturesSpec())
    assert "signal" not in names
    assert set(names) == set(FEATURES) - {"signal"}


def test_every_bar_feature_has_a_formula():
    assert set(FORMULAS) == {name for name, f in FEATURES.items() if f.series is None}


def test_named_features_keep_their_order():
    spec = FeaturesSpec(names=("signal", "rsi_14", "log_return_1"))
    assert feature_names(spec) == ("signal", "rsi_14", "log_return_1")


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (("log_retrun_1",), "did you mean log_return_1"),
        (("zzz",), "known are log_return_1"),
        (("rsi_14", "rsi_14"), "more than once"),
        ((), "at least one name"),
    ],
)
def test_a_wrong_name_is_refused_with_a_remedy(names: tuple[str, ...], sentence: str):
    with pytest.raises(UserError, match=sentence):
        feature_names(FeaturesSpec(names=names))


def test_the_lookback_covers_every_feature_and_its_scaling():
    spec = FeaturesSpec()
    for name in feature_names(spec):
        bars = FEATURES[name].lookback_bars
        assert bars + (spec.scale_bars - 1 if FEATURES[name].is_scaled else 0) <= LOOKBACK_BARS


def test_a_scaling_window_beyond_the_lookback_is_refused():
    with pytest.raises(UserError, match="scale_bars was 253; expected at most 252"):
        feature_names(FeaturesSpec(scale_bars=253))
    assert feature_names(FeaturesSpec(names=("log_return_1",), scale_bars=400))


def test_the_shortest_lookback_of_the_exchange_still_warms_every_feature_up():
    days = get_calendar("XNYS").sessions(date(1992, 1, 1), date(2025, 12, 31))
    spec = FeaturesSpec()
    slowest = max(warm_up_bars(name, spec) for name in feature_names(spec))
    counts = []
    for k in range(24, 33 * 12):
        first, _ = input_window(shift_month(date(1992, 1, 1), k))
        month = shift_month(first, LOOKBACK_MONTHS)
        counts.append(sum(first <= day < month for day in days))
    assert min(counts) >= LOOKBACK_BARS - 7
    assert slowest <= min(counts)
    assert slowest < LOOKBACK_BARS - SCALE_MIN_BARS


def test_the_catalogue_imports_no_array_library():
    code = (
        "import sys; import trading_assets.features.catalogue;"
        "sys.exit(any(m in sys.modules for m in ('numpy', 'polars', 'pandas', 'torch')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("month", "first", "last"),
    [
        (date(2004, 3, 1), date(2002, 3, 1), date(2004, 3, 31)),
        (date(2004, 12, 1), date(2002, 12, 1), date(2004, 12, 31)),
        (date(2005, 2, 1), date(2003, 2, 1), date(2005, 2, 28)),
    ],
)
def test_a_month_sees_the_24_months_before_it(month: date, first: date, last: date):
    assert input_window(month) == (first, last)
