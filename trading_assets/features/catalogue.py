"""The features there are, by name; and which of them a strategy declares.

The catalogue only grows: a name keeps its formula. It knows nothing of how a feature is computed
and imports no array library, so that declarations can be checked without one.
"""

import re
from collections.abc import Iterable
from difflib import get_close_matches
from functools import cache

from trading_assets.errors import UserError, shown
from trading_assets.feature_specs import LEAST_SCALE_BARS, FeatureCall, FeaturesSpec
from trading_assets.features.definition import Family, FeatureDefinition
from trading_assets.features.groups import (
    calendar,
    context,
    cross_asset,
    fractional,
    liquidity,
    order_book,
    oscillators,
    returns,
    series,
    trend,
    volatility,
)
from trading_assets.features.groups.series import series_feature
from trading_assets.features.pandas_ta_table import OUTPUTS, PREFIX, output_of
from trading_assets.features.windows import LOOKBACK_BARS, SCALE_MIN_BARS

# A feature of any series that a data set declares: its name follows.
_SERIES_PREFIX = "series_"
_SERIES_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}\Z")
_NUMBERED = re.compile(r"(?P<family>[a-z][a-z0-9_]*?)(?P<numbers>(?:_[0-9]{1,4})+)\Z")
_TAKEN_PREFIXES = (PREFIX, _SERIES_PREFIX)
_MOST_SHOWN = 12


def _family_members(families: Iterable[Family]) -> list[FeatureDefinition]:
    return [member for family in families for member in family.members()]


# In column order. `all` stands for these.
STANDARD: dict[str, FeatureDefinition] = {
    feature.name: feature
    for feature in (
        *_family_members(returns.FAMILIES),
        *returns.FEATURES,
        *_family_members(trend.FAMILIES),
        *trend.FEATURES,
        *_family_members(oscillators.FAMILIES),
        *volatility.FEATURES,
        *_family_members(volatility.FAMILIES),
        *_family_members(liquidity.FAMILIES),
        *_family_members(cross_asset.FAMILIES),
        *cross_asset.FEATURES,
        *calendar.FEATURES,
        *context.FEATURES,
    )
}
FURTHER: dict[str, FeatureDefinition] = {
    feature.name: feature
    for feature in (
        *volatility.FURTHER,
        *liquidity.FURTHER,
        *order_book.FURTHER,
        *series.FURTHER,
    )
}
FEATURES = STANDARD | FURTHER
FAMILIES: dict[str, Family] = {
    family.name: family
    for family in (
        *returns.FAMILIES,
        *fractional.FAMILIES,
        *trend.FAMILIES,
        *oscillators.FAMILIES,
        *volatility.FAMILIES,
        *liquidity.FAMILIES,
        *cross_asset.FAMILIES,
    )
}
PANDAS_TA = "pandas_ta"
# What needs a source that a data set may lack.
OPTIONAL_GROUPS = frozenset({"context", "order_book"})
GROUPS = tuple(dict.fromkeys([*(feature.group for feature in FEATURES.values()), PANDAS_TA]))


@cache
def feature_of(name: str, module: str | None = None) -> FeatureDefinition:
    """Return a feature by its name.

    A name is one of the catalogue, a family with its numbers such as `rsi_9`, an indicator of
    pandas-ta such as `ta_kama`, `series_<name>` for any declared series, or one of the module.

    Raises
    ------
    UserError
        If there is no such feature, or a number is out of its bounds.
    """
    if name in FEATURES:
        return FEATURES[name]
    if name.startswith(PREFIX):
        return _indicator(name)
    if module is not None and name in _own_names(module):
        return _own_names(module)[name]
    parts = _NUMBERED.match(name)
    if parts and parts["family"] in FAMILIES:
        numbers = tuple(map(int, parts["numbers"].strip("_").split("_")))
        return _member(FAMILIES[parts["family"]], numbers)
    declared = name.removeprefix(_SERIES_PREFIX)
    if declared != name and _SERIES_NAME.match(declared):
        return series_feature(name, declared)
    raise UserError(_unknown(name, module))


def _indicator(name: str) -> FeatureDefinition:
    output = output_of(name)
    change = "change over one bar of " if output.is_differenced else ""
    return FeatureDefinition(
        name,
        PANDAS_TA,
        f"{change}{output.description} (pandas-ta)",
        output.unit,
        stated_lookback_bars=output.lookback_bars,
    )


@cache
def _own_names(module: str) -> dict[str, FeatureDefinition]:
    # A user's module may import anything; declarations are checked without it.
    from trading_assets.features.own import own_features

    found = {name: own.definition for name, own in own_features(module).items()}
    for name in found:
        parts = _NUMBERED.match(name)
        is_member = parts is not None and parts["family"] in FAMILIES
        if is_member or name in FEATURES or name in GROUPS or name.startswith(_TAKEN_PREFIXES):
            msg = (
                f"features module {module} defines {name}, which is a name of the catalogue;"
                " expected another name: rename its function"
            )
            raise UserError(msg)
    return found


def feature_names(spec: FeaturesSpec) -> tuple[str, ...]:
    """Return the names of the features a strategy declares, in column order.

    `all` stands for the standard ones; the name of a group for its features in the catalogue. A
    feature that several entries name is one column.

    Raises
    ------
    UserError
        If a name is unknown or repeated, a number is out of its bounds, or `scale_bars` reaches
        back beyond the lookback.
    """
    if spec.names == "all":
        names = tuple(STANDARD)
    else:
        names = tuple(
            dict.fromkeys(name for entry in spec.names for name in _named(entry, spec.module))
        )
        _refuse_repeated([entry for entry in spec.names if isinstance(entry, str)])
    if not names:
        msg = "features were an empty list; expected at least one name, or `all`"
        raise UserError(msg)
    _refuse_too_long_windows(names, spec)
    return names


def warm_up_bars(name: str, spec: FeaturesSpec) -> int:
    """Return how many bars of a symbol, the row's own included, make a feature non-null."""
    feature = feature_of(name, spec.module)
    if not feature.is_scaled:
        return feature.lookback_bars
    return feature.lookback_bars + min(SCALE_MIN_BARS, spec.scale_bars) - 1


def _named(entry: str | FeatureCall, module: str | None) -> list[str]:
    if isinstance(entry, FeatureCall):
        return [_called(entry)]
    if entry == PANDAS_TA:
        return list(OUTPUTS)
    if entry in GROUPS and entry not in FEATURES:
        return [name for name, feature in FEATURES.items() if feature.group == entry]
    return [feature_of(entry, module).name]


def _called(call: FeatureCall) -> str:
    family = FAMILIES.get(call.name)
    if family is None:
        if call.name in FEATURES:
            msg = f"feature {call.name} takes no parameters; expected its name alone"
            raise UserError(msg)
        near = get_close_matches(call.name, FAMILIES, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(FAMILIES)}"
        msg = f"feature was {call.name!r} with parameters; expected a family of features: {hint}"
        raise UserError(msg)
    given = call.parameters
    expected = [parameter.name for parameter in family.parameters]
    if set(given) != set(expected):
        msg = (
            f"feature {call.name} was given {', '.join(sorted(given)) or 'no parameter'}; expected"
            f" {', '.join(expected)}"
        )
        raise UserError(msg)
    return _member(family, tuple(given[name] for name in expected)).name


def _member(family: Family, numbers: tuple[int, ...]) -> FeatureDefinition:
    names = ", ".join(parameter.name for parameter in family.parameters)
    if len(numbers) != len(family.parameters):
        msg = (
            f"feature {family.name} was given {len(numbers)} numbers; expected"
            f" {len(family.parameters)}: {names}"
        )
        raise UserError(msg)
    ordered = list(numbers[: family.rising])
    if ordered != sorted(set(ordered)):
        given = ", ".join(map(str, numbers))
        rising = " < ".join(p.name for p in family.parameters[: family.rising])
        msg = f"feature {family.name} was given {given} for {names}; expected {rising}"
        raise UserError(msg)
    for parameter, number in zip(family.parameters, numbers, strict=True):
        if not parameter.least <= number <= parameter.most:
            msg = (
                f"feature {family.name}: {parameter.name} was {number}; expected"
                f" {parameter.least} to {parameter.most}"
            )
            raise UserError(msg)
    standard = {numbers: name for name, numbers in family.named.items()}
    return family.member(numbers, standard.get(numbers))


def _unknown(name: str, module: str | None) -> str:
    if name in FAMILIES:
        family = FAMILIES[name]
        return (
            f"{shown(name)} is a family with {family.bounds}; expected one feature: add its"
            f" numbers, such as {family.example}"
        )
    own = [] if module is None else list(_own_names(module))
    near = get_close_matches(name, [*own, *FEATURES, *FAMILIES, *GROUPS], n=1)
    known = ", ".join(list(FEATURES)[:_MOST_SHOWN])
    hint = (
        f"did you mean {FAMILIES[near[0]].example if near[0] in FAMILIES else near[0]}?"
        if near
        else f"known are {known} and more, see `trading-assets features list`"
    )
    return f"feature was {shown(name)}; expected a name or a group of the catalogue: {hint}"


def _refuse_repeated(names: list[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            msg = f"features name {name} more than once; expected each once, so remove one"
            raise UserError(msg)


def _refuse_too_long_windows(names: tuple[str, ...], spec: FeaturesSpec) -> None:
    features = [feature_of(name, spec.module) for name in names]
    for feature in sorted(features, key=lambda feature: feature.lookback_bars, reverse=True):
        # Rows whose unscaled value is known, which is what scaling can use.
        left = LOOKBACK_BARS - feature.lookback_bars + 1
        if left < (LEAST_SCALE_BARS if feature.is_scaled else 1):
            msg = (
                f"feature {feature.name} needs {feature.lookback_bars} of the {LOOKBACK_BARS} bars"
                f" looked back, which leaves {max(left, 0)} to scale it by; expected at least"
                f" {LEAST_SCALE_BARS}: give it fewer bars or drop it"
            )
            raise UserError(msg)
        if feature.is_scaled and spec.scale_bars > left:
            msg = (
                f"scale_bars was {spec.scale_bars}; expected at most {left} with feature"
                f" {feature.name}, which needs {feature.lookback_bars} of the {LOOKBACK_BARS} bars"
                f" looked back: lower scale_bars or drop the feature"
            )
            raise UserError(msg)
