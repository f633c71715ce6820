"""The features there are: name, formula, unit and how many bars each needs.

The catalogue only grows: a name keeps its formula. It knows nothing of how a feature is computed
and imports no array library, so that declarations can be checked without one.
"""

import re
from dataclasses import dataclass
from difflib import get_close_matches

from trading_assets.errors import UserError
from trading_assets.features.windows import LOOKBACK_BARS, SCALE_MIN_BARS
from trading_assets.strategy import FeaturesSpec

# Bars after which the seed of Wilder's smoothing over 14 bars weighs less than 1e-7.
WILDER_14_BARS = 233
# The average directional index smooths twice, so its seed lives longer.
ADX_14_BARS = 252

# A feature of any series that a data set declares: its name follows.
_SERIES_PREFIX = "series_"
_SERIES_NAME = r"[a-z][a-z0-9_]{0,39}"


@dataclass(frozen=True, slots=True)
class FeatureDefinition:
    """One feature: its formula (`description`), unit and what it needs.

    `lookback_bars` counts the bars of the symbol, the row's own included, from which the unscaled
    value is known. A scaled feature needs `SCALE_MIN_BARS` such values, see `warm_up_bars`.
    """

    name: str
    group: str
    description: str
    lookback_bars: int
    unit: str
    is_scaled: bool = True
    series: str | None = None


def _returns() -> list[FeatureDefinition]:
    group = "returns and momentum"
    horizons = [
        FeatureDefinition(
            f"log_return_{bars}",
            group,
            f"ln total return over {bars} bars, splits and dividends included",
            bars + 1,
            "log return",
        )
        for bars in (1, 2, 5, 10, 21, 63)
    ]
    return [
        *horizons,
        FeatureDefinition(
            "momentum_12_1", group, "ln total return from bar t-252 to bar t-21", 253, "log return"
        ),
        FeatureDefinition(
            "overnight_gap", group, "ln((open * split + cash) / previous close)", 2, "log return"
        ),
        FeatureDefinition("intraday_return", group, "ln(close / open)", 1, "log return"),
        FeatureDefinition(
            "high_252_distance", group, "ln(close / highest high of 252 bars)", 252, "log ratio"
        ),
        FeatureDefinition("up_day_share_21", group, "share of 21 returns above 0", 22, "fraction"),
        FeatureDefinition("skew_63", group, "third standardised moment of 63 returns", 64, "1"),
    ]


def _volatility() -> list[FeatureDefinition]:
    group = "volatility"
    unit = "fraction a bar"
    return [
        FeatureDefinition("high_low_range", group, "ln(high / low)", 1, "log ratio"),
        FeatureDefinition(
            "ewma_volatility",
            group,
            "sqrt(sum w_k r_{t-k}^2), w_k ~ 0.94^k over 63 returns, sum w = 1",
            64,
            unit,
        ),
        FeatureDefinition(
            "parkinson_21", group, "sqrt(mean ln(high / low)^2 / (4 ln 2)) of 21 bars", 21, unit
        ),
        FeatureDefinition(
            "garman_klass_21",
            group,
            "sqrt(mean(ln(high / low)^2 / 2 - (2 ln 2 - 1) ln(close / open)^2)) of 21 bars",
            21,
            unit,
        ),
        FeatureDefinition(
            "atr_percent_14",
            group,
            "100 * Wilder average of the true range over 14 bars / close",
            WILDER_14_BARS,
            "percent",
        ),
        FeatureDefinition(
            "bollinger_percent_b_20",
            group,
            "(close - (mean - 2 sd)) / (4 sd) of 20 closes; 0.5 when sd is 0",
            20,
            "1",
        ),
    ]


def _volume() -> list[FeatureDefinition]:
    group = "volume and liquidity"
    return [
        FeatureDefinition(
            "volume_z_63", group, "z-score of ln(1 + split-adjusted shares) in 63 bars", 63, "sd"
        ),
        FeatureDefinition(
            "dollar_volume_z_63", group, "z-score of ln(1 + close * shares) in 63 bars", 63, "sd"
        ),
        FeatureDefinition(
            "amihud_21",
            group,
            "ln mean(|log return| / dollar volume) of 21 bars (Amihud 2002)",
            22,
            "ln(1 / USD)",
        ),
    ]


def _oscillators() -> list[FeatureDefinition]:
    group = "trend and oscillators"
    return [
        FeatureDefinition(
            "rsi_14", group, "relative strength index (Wilder)", WILDER_14_BARS, "0..100"
        ),
        FeatureDefinition(
            "adx_14", group, "average directional index (Wilder)", ADX_14_BARS, "0..100"
        ),
        FeatureDefinition("cci_20", group, "commodity channel index", 20, "1"),
        FeatureDefinition(
            "mfi_14", group, "100 * rising / all money flow of 14 bars; 50 without", 15, "0..100"
        ),
    ]


def _calendar_and_series() -> list[FeatureDefinition]:
    group = "calendar"
    return [
        FeatureDefinition("weekday_sin", group, "sin(2 pi weekday / 5)", 1, "1", is_scaled=False),
        FeatureDefinition("weekday_cos", group, "cos(2 pi weekday / 5)", 1, "1", is_scaled=False),
        FeatureDefinition(
            "signal",
            "declared series",
            "newest value of the series `signal` known with the bar",
            1,
            "the series' own",
            is_scaled=False,
            series="signal",
        ),
    ]


FEATURES: dict[str, FeatureDefinition] = {
    feature.name: feature
    for feature in [
        *_returns(),
        *_volatility(),
        *_volume(),
        *_oscillators(),
        *_calendar_and_series(),
    ]
}


def feature_of(name: str) -> FeatureDefinition:
    """Return a feature by its name: of the catalogue, or `series_<name>` for any declared series.

    Raises
    ------
    UserError
        If there is no such feature.
    """
    if name in FEATURES:
        return FEATURES[name]
    series = name.removeprefix(_SERIES_PREFIX)
    if series != name and re.fullmatch(_SERIES_NAME, series):
        return FeatureDefinition(
            name,
            "declared series",
            f"newest value of the series `{series}` known with the bar",
            1,
            "the series' own",
            series=series,
        )
    near = get_close_matches(name, FEATURES, n=1)
    hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(FEATURES)}"
    msg = f"feature was {name!r}; expected a name of the catalogue: {hint}"
    raise UserError(msg)


def feature_names(spec: FeaturesSpec) -> tuple[str, ...]:
    """Return the names of the features a strategy declares, in column order.

    `all` stands for every feature computed from bars; a declared series is only used where it is
    named.

    Raises
    ------
    UserError
        If a name is unknown or repeated, or `scale_bars` reaches back beyond the lookback.
    """
    if spec.names == "all":
        names = tuple(name for name, feature in FEATURES.items() if feature.series is None)
    else:
        names = spec.names
    for name in names:
        feature_of(name)
        if names.count(name) > 1:
            msg = f"features name {name} more than once; expected each once, so remove one"
            raise UserError(msg)
    if not names:
        msg = "features were an empty list; expected at least one name, or `all`"
        raise UserError(msg)
    _refuse_too_long_windows(names, spec.scale_bars)
    return names


def _refuse_too_long_windows(names: tuple[str, ...], scale_bars: int) -> None:
    for name in names:
        feature = feature_of(name)
        longest = LOOKBACK_BARS - feature.lookback_bars + 1
        if feature.is_scaled and scale_bars > longest:
            msg = (
                f"scale_bars was {scale_bars}; expected at most {longest} with feature {name},"
                f" which needs {feature.lookback_bars} of the {LOOKBACK_BARS} bars looked back:"
                f" lower scale_bars or drop the feature"
            )
            raise UserError(msg)


def warm_up_bars(name: str, spec: FeaturesSpec) -> int:
    """Return how many bars of a symbol, the row's own included, make a feature non-null."""
    feature = feature_of(name)
    if not feature.is_scaled:
        return feature.lookback_bars
    return feature.lookback_bars + min(SCALE_MIN_BARS, spec.scale_bars) - 1
