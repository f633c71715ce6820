"""Features of a user's own: how they are found, computed, proved and refused."""

import sys
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from trading_assets.errors import DataError, UserError
from trading_assets.feature_specs import FeaturesSpec
from trading_assets.features.adjustment import SymbolBars
from trading_assets.features.catalogue import feature_names, feature_of, warm_up_bars
from trading_assets.features.compute import compute_features
from trading_assets.features.months import compute_months
from trading_assets.features.own import feature, own_features
from trading_assets_tests.features.synthetic_bars import (
    NO_ACTIONS,
    NO_SERIES,
    make_bars,
    weekdays,
)

MODULE = "trading_assets_tests.features.own_examples"
BARS = make_bars(("AAA", "BBB"), 400)
SESSIONS = weekdays(date(2004, 1, 1), 400)
MONTH = {"2005-05-01": date(2005, 5, 1)}


def spec_of(*names: str) -> FeaturesSpec:
    return FeaturesSpec(names=names, module=MODULE, scale_bars=63)


def features_of(*names: str) -> pl.DataFrame:
    return compute_features(BARS, NO_ACTIONS, NO_SERIES, spec_of(*names), SESSIONS[-5:])


def test_a_module_gives_its_functions_by_name() -> None:
    assert list(own_features(MODULE))[:2] == ["close_in_range", "up_bars_5"]
    assert feature_names(spec_of("up_bars_5", "rsi_14")) == ("up_bars_5", "rsi_14")
    definition = feature_of("up_bars_5", MODULE)
    assert (definition.group, definition.unit) == ("own", "bars")
    assert warm_up_bars("up_bars_5", spec_of("up_bars_5")) == 5
    assert warm_up_bars("close_in_range", spec_of("close_in_range")) == 63


def test_a_function_is_computed_by_symbol_and_scaled_unless_it_says_no() -> None:
    table = features_of("up_bars_5", "close_in_range")
    own = BARS.filter(symbol="BBB").sort("session")
    is_up = (own["close"] > own["open"]).to_numpy()
    found = table.filter(symbol="BBB")["up_bars_5"].to_list()
    assert found == [is_up[row - 4 : row + 1].sum() for row in range(395, 400)]
    place = ((own["close"] - own["low"]) / (own["high"] - own["low"])).to_numpy()
    past = place[-63:]
    sigma = 1.4826 * np.median(np.abs(past - np.median(past)))
    scaled = table.filter(symbol="BBB")["close_in_range"][-1]
    assert scaled == pytest.approx((place[-1] - np.median(past)) / sigma, rel=1e-5)


def test_a_function_that_knows_tomorrow_fails_the_certificate() -> None:
    computed = compute_months(BARS, NO_ACTIONS, NO_SERIES, spec_of("tomorrow"), MONTH)
    assert computed.leaks
    assert all(leak.startswith("tomorrow of ") for leak in computed.leaks)
    honest = compute_months(BARS, NO_ACTIONS, NO_SERIES, spec_of("close_in_range"), MONTH)
    assert honest.leaks == []


def test_a_function_of_a_wrong_length_is_named() -> None:
    with pytest.raises(DataError, match=r"feature one_too_few returned values of shape \(399,\)"):
        features_of("one_too_few")


def test_a_hole_after_the_warm_up_is_named() -> None:
    gaps = compute_months(BARS, NO_ACTIONS, NO_SERIES, spec_of("holed"), MONTH).gaps
    assert len(gaps) == 1
    assert "feature holed is null or infinite in" in gaps[0]


def test_a_name_that_is_nearly_one_of_the_module_is_suggested() -> None:
    with pytest.raises(UserError, match="did you mean up_bars_5"):
        feature_names(spec_of("up_bar_5"))
    with pytest.raises(UserError, match="feature was 'up_bars_5'"):
        feature_names(FeaturesSpec(names=("up_bars_5",)))


def test_a_module_without_features_or_that_fails_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "empty_features_module.py").write_text("x = 1\n", encoding="utf-8")
    (tmp_path / "broken_features_module.py").write_text("1 / 0\n", encoding="utf-8")
    with pytest.raises(UserError, match="empty_features_module defines no feature"):
        feature_names(FeaturesSpec(names=("up",), module="empty_features_module"))
    with pytest.raises(UserError, match="broken_features_module cannot be imported"):
        feature_names(FeaturesSpec(names=("up",), module="broken_features_module"))
    sys.modules.pop("empty_features_module")


@pytest.mark.parametrize("name", ["rsi_14", "rsi_9", "trend", "ta_mine", "series_mine"])
def test_a_name_of_the_catalogue_is_not_taken_over(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    module = f"taken_{name}"
    (tmp_path / f"{module}.py").write_text(
        "from trading_assets.features.own import feature\n"
        "@feature(lookback_bars=1, unit='1', formula='mine')\n"
        f"def {name}(bars):\n    return bars.close\n",
        encoding="utf-8",
    )
    with pytest.raises(UserError, match=f"defines {name}, which is a name of the catalogue"):
        feature_names(FeaturesSpec(names=("mine",), module=module))


def test_a_bad_name_or_lookback_is_refused_where_it_is_written() -> None:
    def Up(bars: SymbolBars) -> np.ndarray:
        return bars.close

    with pytest.raises(UserError, match="own feature was named 'Up'"):
        feature(lookback_bars=1, unit="1", formula="up")(Up)

    def up(bars: SymbolBars) -> np.ndarray:
        return bars.close

    with pytest.raises(UserError, match="lookback_bars was 0; expected at least 1"):
        feature(lookback_bars=0, unit="1", formula="up")(up)
