"""The features that indicators of pandas-ta-classic offer, by name.

It imports neither that library nor an array library: declarations are checked with it.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches

from trading_assets.errors import UserError, shown
from trading_assets.features.pandas_ta_rows import ARGUMENTS, PATTERNS, REFUSED, ROWS

PREFIX = "ta_"


@dataclass(frozen=True, slots=True)
class IndicatorOutput:
    """One feature made of one output of an indicator with its default arguments.

    Attributes
    ----------
    name : str
        `ta_<indicator>`, or `ta_<indicator>_<output>` where it has several.
    indicator : str
        Function of the library.
    columns : tuple of str
        Columns of its result without the arguments at their end, empty if there is only one. Of
        several the first that has a value counts.
    arguments : mapping
        Arguments that differ from the library's defaults.
    inputs : tuple of str
        Series it is given: open, high, low, close, volume.
    lookback_bars : int
        Bars, the row's own included, after which older ones change the value by less than 1e-6 of
        the output's median absolute value. Measured, and a fifth more where the memory fades, but
        never fewer than the library accepts, nor more than leave room to scale the value.
    unit : str
        Unit of the value.
    is_differenced : bool
        Whether the feature is the change over one bar, because the level depends on where the
        history starts.
    description : str
        What it is.
    """

    name: str
    indicator: str
    columns: tuple[str, ...]
    inputs: tuple[str, ...]
    lookback_bars: int
    unit: str
    is_differenced: bool
    description: str
    arguments: Mapping[str, bool] = field(default_factory=dict[str, bool])


def _outputs_of_rows() -> Iterator[IndicatorOutput]:
    letters = {word[0]: word for word in ("open", "high", "low", "close", "volume")}
    for row in re.sub(r"\n\s+", " ", ROWS.strip()).split("\n"):
        indicator, inputs, unit, outputs, description = row.split(" | ")
        for output in outputs.split():
            named, _, rest = output.rpartition(":")
            name, _, columns = named.partition("=")
            lookback, _, own_unit = rest.partition("/")
            yield IndicatorOutput(
                name=f"{PREFIX}{indicator}_{name}".removesuffix("_"),
                indicator=indicator,
                columns=tuple(columns.split("+")) if columns else (),
                inputs=tuple(letters[letter] for letter in inputs),
                lookback_bars=int(lookback.removeprefix("~")),
                unit=own_unit or unit,
                is_differenced=lookback.startswith("~"),
                description=f"{description}: {name}" if name else description,
                arguments=ARGUMENTS.get(indicator, {}),
            )


def _outputs_of_patterns() -> Iterator[IndicatorOutput]:
    for lookback, patterns in PATTERNS.items():
        for pattern in patterns.split():
            yield IndicatorOutput(
                name=f"{PREFIX}cdl_{pattern}",
                indicator=f"cdl_{pattern}",
                columns=(),
                inputs=("open", "high", "low", "close"),
                lookback_bars=lookback,
                unit="pattern",
                is_differenced=False,
                description=f"candle {pattern}: 100 rising, -100 falling, 0 none",
            )


OUTPUTS: dict[str, IndicatorOutput] = {
    output.name: output for output in [*_outputs_of_rows(), *_outputs_of_patterns()]
}


def output_of(name: str) -> IndicatorOutput:
    """Return what a feature `ta_...` is made of.

    Raises
    ------
    UserError
        If the name is refused, which the message explains, or unknown.
    """
    if name in OUTPUTS:
        return OUTPUTS[name]
    plain = name.removeprefix(PREFIX)
    for refused, reason in REFUSED.items():
        if plain == refused or plain.startswith(f"{refused}_"):
            msg = f"feature {name} {reason}; expected an offered indicator: choose another"
            raise UserError(msg)
    near = get_close_matches(name, OUTPUTS, n=1)
    own = [output.name for output in OUTPUTS.values() if output.indicator == plain]
    hint = f"did you mean {' or '.join(own or near)}?" if own or near else "choose another"
    msg = f"feature was {shown(name)}; expected an indicator of pandas-ta-classic: {hint}"
    raise UserError(msg)
