"""Says everything about one feature, from the catalogue alone.

It imports no array library, so that `trading-assets features explain` answers at once.
"""

import re
from collections.abc import Iterator

from trading_assets.errors import UserError, shown
from trading_assets.feature_specs import LEAST_SCALE_BARS, FeaturesSpec
from trading_assets.features.catalogue import (
    FAMILIES,
    FEATURES,
    GROUPS,
    STANDARD,
    feature_of,
    warm_up_bars,
)
from trading_assets.features.definition import Family, FeatureDefinition
from trading_assets.features.expressions import AFFINE, Column
from trading_assets.features.pandas_ta_table import OUTPUTS
from trading_assets.features.windows import LOOKBACK_BARS

_SOURCE = re.compile(r"\(([A-Z][^()]* (?:19|20)\d\d)\)\Z")
_NUMBERS = re.compile(r"(?:_[0-9]+)+\Z")
_LABEL_WIDTH = 11
# What the constants of an operation are. Those behind the named ones say how it is summed, not
# what it is; a test asks that each operation of the catalogue stands here.
PARAMETER_NAMES: dict[str, tuple[str, ...]] = {
    "divide": ("otherwise", "times"),
    "log": ("least",),
    "lag": ("bars",),
    "change": ("bars",),
    "rolling_sum": ("bars", "times"),
    "decayed_sum": ("factor", "bars", "times"),
    "moments": ("bars",),
    "comoments": ("bars",),
    "highest": ("bars",),
    "lowest": ("bars",),
    "rows_since_highest": ("bars",),
    "rows_since_lowest": ("bars",),
    "skewness": ("bars",),
    "mean_distance": ("bars",),
    "line": ("bars",),
    "fractional_difference": ("order", "bars"),
    "smooth": ("weight",),
    "stop_and_reverse": ("step", "limit"),
    "edge_spread": ("bars",),
    "informed_flow": ("slices", "bars"),
}
# What an operation with several outputs writes into each.
OUTPUT_NAMES: dict[str, tuple[str, ...]] = {
    "moments": ("mean", "standard deviation"),
    "comoments": ("covariance", "variance of the first", "variance of the second"),
    "line": ("slope", "squared distances"),
    "fisher": ("transformed", "position"),
    "stop_and_reverse": ("stop", "extreme", "acceleration", "side"),
    "directional_movement": ("upward", "downward"),
}


def explain_feature(name: str, spec: FeaturesSpec | None = None) -> str:
    """Return everything about one feature as lines of text.

    Parameters
    ----------
    name : str
        As in YAML: `rsi_14`, `macd_line_8_21`, `series_gdp`.
    spec : FeaturesSpec, optional
        Whose scaling and whose module of own features count; by default the defaults.

    Raises
    ------
    UserError
        If there is no such feature.
    """
    spec = spec or FeaturesSpec()
    feature = _single_feature(name, spec.module)
    declared = _declared(feature)
    lines = [
        feature.name,
        "",
        *(f"{label:<{_LABEL_WIDTH}}{text}" for label, text in _facts(feature, spec)),
        "",
        "In YAML" if len(declared) == 1 else "In YAML, either",
        *(f"  features: {{names: [{entry}]}}" for entry in declared),
    ]
    if feature.expression is not None:
        lines += ["", "Steps, each with the bars that decide it", *_steps(feature.expression)]
    return "\n".join(lines)


def _facts(feature: FeatureDefinition, spec: FeaturesSpec) -> Iterator[tuple[str, str]]:
    yield "group", feature.group
    yield "formula", feature.formula
    source = _SOURCE.search(feature.formula)
    if source:
        yield "source", source[1]
    yield "unit", feature.unit
    yield "lookback", f"{_bars(feature.lookback_bars)}, the row's own included"
    yield "warm-up", f"{_bars(warm_up_bars(feature.name, spec))} until it is known"
    yield "scaling", _scaling(feature, spec)
    yield "known", feature.known_when
    if feature.expression is not None:
        yield "inputs", ", ".join(sorted(feature.expression.input_names()))
    elif feature.name in OUTPUTS:
        yield "inputs", ", ".join(OUTPUTS[feature.name].inputs)
        yield "computed", f"by {OUTPUTS[feature.name].indicator} of pandas-ta-classic"
    else:
        yield "computed", f"by a function of the module {spec.module}"
    if feature.series:
        yield "needs", f"declared series {', '.join(feature.series)}; null without"
    yield "in all", _in_all(feature)
    member = _family_of(feature)
    if member:
        yield "family", f"{member[0].name} with {member[0].bounds}"


def _single_feature(name: str, module: str | None) -> FeatureDefinition:
    try:
        return feature_of(name, module)
    except UserError:
        # What may be declared but stands for many has an answer of its own.
        if name not in GROUPS:
            raise
        msg = (
            f"{shown(name)} is a group; expected one feature: choose from"
            f" `trading-assets features list --group {name}`"
        )
        raise UserError(msg) from None


def _in_all(feature: FeatureDefinition) -> str:
    if feature.name in STANDARD:
        return "yes"
    # A group holds what the tables list, not all that a family or a series can be declared as.
    is_of_group = feature.name in FEATURES or feature.name in OUTPUTS
    return f"no, declare it by name{f' or with its group {feature.group}' * is_of_group}"


def _scaling(feature: FeatureDefinition, spec: FeaturesSpec) -> str:
    if not feature.is_scaled:
        return "none"
    most = LOOKBACK_BARS - feature.lookback_bars + 1
    if most < LEAST_SCALE_BARS:
        return f"cannot be declared: it leaves too few of the {LOOKBACK_BARS} bars looked back"
    if spec.scale_bars > most:
        return f"needs scale_bars of {most} at most, not {spec.scale_bars}"
    return f"against its median and MAD of the last {spec.scale_bars} bars; scale_bars up to {most}"


def _bars(count: int) -> str:
    return "1 bar" if count == 1 else f"{count} bars"


def _declared(feature: FeatureDefinition) -> list[str]:
    member = _family_of(feature)
    if member is None:
        return [feature.name]
    family, numbers = member
    named = zip(family.parameters, numbers, strict=True)
    call = ", ".join(f"{parameter.name}: {number}" for parameter, number in named)
    return [feature.name, f"{{name: {family.name}, {call}}}"]


def _family_of(feature: FeatureDefinition) -> tuple[Family, tuple[int, ...]] | None:
    for family in FAMILIES.values():
        if feature.name in family.named:
            return family, tuple(family.named[feature.name])
    ending = _NUMBERS.search(feature.name)
    family = FAMILIES.get(feature.name[: ending.start()]) if ending else None
    if ending is None or family is None:
        return None
    return family, tuple(map(int, ending[0].strip("_").split("_")))


def _steps(expression: Column) -> list[str]:
    """Return the expression as an indented tree; what occurs again refers to its first line."""
    rows: list[tuple[str, str]] = []
    places: dict[Column, int] = {}

    def visit(column: Column, depth: int) -> None:
        if column in places and column.inputs:
            rows.append((f"{'  ' * depth}{_step(column)}: as in line {places[column]}", ""))
            return
        rows.append((f"{'  ' * depth}{_step(column)}", _bars(column.lookback_bars)))
        places.setdefault(column, len(rows))
        for source in column.inputs:
            visit(source, depth + 1)

    visit(expression, 0)
    width = max(len(text) for text, _ in rows) + 2
    return [
        f"{place:>3}  {text:<{width}}{bars:>9}".rstrip()
        for place, (text, bars) in enumerate(rows, 1)
    ]


def _step(column: Column) -> str:
    if column.operation is None:
        return column.name
    if column.operation == AFFINE:
        return _affine_step(*column.parameters)
    name = column.operation.name
    outputs = OUTPUT_NAMES.get(name)
    values = zip(PARAMETER_NAMES.get(name, ()), column.parameters, strict=False)
    texts = [
        *([outputs[column.output]] if outputs else []),
        *(f"{label} {value:.6g}" for label, value in values if (label, value) != ("times", 1.0)),
    ]
    return f"{name} ({', '.join(texts)})" if texts else name


def _affine_step(factor: float, offset: float) -> str:
    times = [f"times {factor:.6g}"] if factor != 1.0 else []
    return " ".join([*times, *([f"plus {offset:.6g}"] if offset or not times else [])])
