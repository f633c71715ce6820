import re
import subprocess
import sys
from collections import Counter
from datetime import date

import pytest

from trading_assets.bars.calendars.calendar import get_calendar
from trading_assets.errors import UserError
from trading_assets.feature_specs import FeaturesSpec
from trading_assets.features.catalogue import (
    FEATURES,
    FURTHER,
    GROUPS,
    STANDARD,
    feature_names,
    feature_of,
    warm_up_bars,
)
from trading_assets.features.windows import (
    LOOKBACK_BARS,
    LOOKBACK_MONTHS,
    SCALE_MIN_BARS,
    input_window,
    shift_month,
)

COUNTS = {
    "returns": 14,
    "trend": 14,
    "oscillators": 12,
    "volatility": 10,
    "liquidity": 12,
    "cross_asset": 8,
    "calendar": 4,
    "context": 4,
}


def names_of(*entries: str | dict[str, object], **settings: object) -> tuple[str, ...]:
    return feature_names(FeaturesSpec.model_validate({"names": entries, **settings}))


def test_all_means_the_78_of_the_eight_groups():
    names = feature_names(FeaturesSpec())
    assert len(names) == len(set(names)) == 78
    assert Counter(FEATURES[name].group for name in names) == COUNTS
    assert names == tuple(STANDARD)


@pytest.mark.parametrize("group", GROUPS)
def test_a_group_stands_for_its_features(group: str):
    names = names_of(group, scale_bars=63)
    assert len(names) >= COUNTS.get(group, 1)
    assert {feature_of(name).group for name in names} == {group}


@pytest.mark.parametrize("name", [*FEATURES, "ta_kama", "rsi_9", "macd_line_8_21", "series_gdp"])
def test_a_feature_says_what_it_is_and_is_found_by_its_name(name: str):
    feature = feature_of(name)
    assert feature.name == name
    assert names_of(name) == (name,)
    assert feature.formula
    assert feature.unit
    assert feature.group in GROUPS
    assert feature.known_when.startswith("with the bar")
    assert feature.lookback_bars >= 1
    assert "{" not in feature.formula


def test_named_features_keep_their_order():
    assert names_of("signal", "rsi_14", "log_return_1") == ("signal", "rsi_14", "log_return_1")


def test_a_feature_that_several_entries_name_is_one_column():
    assert names_of("rsi_14", {"name": "rsi", "bars": 14}, "oscillators").count("rsi_14") == 1


def test_a_family_with_numbers_is_the_feature_of_that_name():
    assert names_of({"name": "rsi", "bars": 9}) == ("rsi_9",)
    assert names_of({"name": "macd_line", "fast": 8, "slow": 21}) == ("macd_line_8_21",)
    short, long = feature_of("rsi_9"), feature_of("rsi_14")
    assert short.lookback_bars < long.lookback_bars
    assert short.formula == long.formula.replace("14", "9")


def test_a_standard_member_has_one_name_only():
    assert names_of({"name": "macd_line", "fast": 12, "slow": 26}) == ("macd_line",)
    assert names_of("macd_line_12_26") == ("macd_line",)


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (("log_retrun_1",), "did you mean log_return_1"),
        (("rsi",), "'rsi' is a family with bars 2..28; expected one feature: add its numbers"),
        (("sma_ratio",), "did you mean ema_ratio_"),
        (("oscilators",), "did you mean oscillators"),
        (("zzz",), "known are log_return_1"),
        (("rsi_14", "rsi_14"), "more than once"),
        ((), "at least one name"),
        (("rsi_1",), "feature rsi: bars was 1; expected 2 to 28"),
        (("rsi_9999",), "feature rsi: bars was 9999; expected 2 to 28"),
        (("rsi_9_3",), "feature rsi was given 2 numbers; expected 1: bars"),
        (({"name": "rsi", "length": 9},), "feature rsi was given length; expected bars"),
        (({"name": "rsi"},), "feature rsi was given no parameter; expected bars"),
        (({"name": "rsy", "bars": 9},), "did you mean rsi"),
        (({"name": "weekday_sin", "bars": 9},), "takes no parameters; expected its name alone"),
        (("macd_line_26_12",), "given 26, 12 for fast, slow; expected fast < slow"),
        (("ta_ichimoku",), "ta_ichimoku"),
        (("ta_kamaa",), "did you mean ta_kama"),
        (("series_GDP",), "expected a name or a group"),
    ],
)
def test_a_wrong_name_is_refused_with_a_remedy(names: tuple[object, ...], sentence: str):
    spec = FeaturesSpec.model_validate({"names": names})
    with pytest.raises(UserError, match=re.escape(sentence)):
        feature_names(spec)


def test_the_lookback_covers_every_feature_and_its_scaling():
    for name in feature_names(FeaturesSpec(names=("pandas_ta",), scale_bars=63)):
        assert feature_of(name).lookback_bars + 62 <= LOOKBACK_BARS, name
    spec = FeaturesSpec(names=(*STANDARD, *FURTHER))
    for name in feature_names(spec):
        feature = feature_of(name)
        scaling = spec.scale_bars - 1 if feature.is_scaled else 0
        assert feature.lookback_bars + scaling <= LOOKBACK_BARS, name


def test_a_scaling_window_beyond_the_lookback_is_refused():
    longest = LOOKBACK_BARS - FEATURES["adx_14"].lookback_bars + 1
    with pytest.raises(UserError, match=f"scale_bars was {longest + 1}; expected at most"):
        names_of("adx_14", scale_bars=longest + 1)
    assert names_of("adx_14", scale_bars=longest)
    assert names_of("log_return_1", scale_bars=400)


def test_a_member_that_needs_more_bars_than_are_kept_is_refused():
    with pytest.raises(UserError, match=r"feature adx_28 needs 5\d\d of the 519 bars looked back"):
        names_of("adx_28", "rsi_14")
    with pytest.raises(UserError, match="scale_bars was 252; expected at most 187"):
        names_of("rsi_21")
    assert names_of("rsi_21", scale_bars=187) == ("rsi_21",)


def test_the_lookback_in_bars_is_the_fewest_sessions_of_its_months_since_1990():
    days = get_calendar("XNYS").sessions(date(1990, 1, 1), date(2025, 12, 31))
    counts = []
    for k in range(LOOKBACK_MONTHS, 36 * 12):
        month = shift_month(date(1990, 1, 1), k)
        first, _ = input_window(month)
        counts.append(sum(first <= day < month for day in days))
    assert min(counts) == LOOKBACK_BARS
    assert max(warm_up_bars(n, FeaturesSpec()) for n in STANDARD) < LOOKBACK_BARS - SCALE_MIN_BARS


def test_the_catalogue_imports_no_array_library():
    code = (
        "import sys; import trading_assets.features.catalogue;"
        "sys.exit(any(m in sys.modules for m in ('numpy', 'polars', 'pandas', 'torch', 'numba')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("month", "first", "last"),
    [
        (date(2004, 3, 1), date(2002, 2, 1), date(2004, 3, 31)),
        (date(2004, 12, 1), date(2002, 11, 1), date(2004, 12, 31)),
        (date(2005, 1, 1), date(2002, 12, 1), date(2005, 1, 31)),
    ],
)
def test_a_month_sees_the_25_months_before_it(month: date, first: date, last: date):
    assert input_window(month) == (first, last)
