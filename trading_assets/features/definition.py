"""What a feature is: its name, formula, unit and the expression it is computed from."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

from trading_assets.features.expressions import Column

Build = Callable[[int], Column] | Callable[[int, int], Column] | Callable[[int, int, int], Column]


@dataclass(frozen=True, slots=True)
class FeatureDefinition:
    """One feature.

    Attributes
    ----------
    name : str
        Column name; a name keeps its formula.
    group : str
        What kind of thing it says.
    formula : str
        Formula or source, in words or signs.
    unit : str
        Unit of the unscaled value.
    expression : Column, optional
        What computes it; None for an indicator of pandas-ta or a function of the user's.
    stated_lookback_bars : int
        Bars it needs, the row's own included, where no expression says so.
    is_scaled : bool
        Whether it is given relative to its own recent past.
    series : tuple of str
        Declared series without which it is null.
    """

    name: str
    group: str
    formula: str
    unit: str
    expression: Column | None = None
    stated_lookback_bars: int = 1
    is_scaled: bool = True
    series: tuple[str, ...] = ()

    @property
    def lookback_bars(self) -> int:
        """Bars of the symbol, the row's own included, from which the unscaled value is known."""
        if self.expression is None:
            return self.stated_lookback_bars
        return self.expression.lookback_bars

    @property
    def known_when(self) -> str:
        """When a value can be used."""
        return "with the bar" if not self.series else "with the bar, of what was published by then"


@dataclass(frozen=True, slots=True)
class Parameter:
    """A whole number that a feature can be declared with, bounds inclusive."""

    name: str
    least: int
    most: int


@dataclass(frozen=True, slots=True)
class Family:
    """Features of one formula with other numbers in it.

    Attributes
    ----------
    name : str
        What the members' names begin with; the numbers follow, joined by `_`.
    group, formula, unit : str
        As in `FeatureDefinition`; the formula has the parameters in braces.
    parameters : tuple of Parameter
        In the order of the name.
    build : callable
        Returns the expression of the parameters, in their order.
    standard : sequence of tuple of int
        Members of the catalogue.
    named : mapping of str to tuple of int
        Members that go by a name of their own.
    rising : int
        How many of the first numbers have to be each above the one before.
    """

    name: str
    group: str
    formula: str
    unit: str
    parameters: tuple[Parameter, ...]
    build: Build
    standard: Sequence[tuple[int, ...]] = ()
    named: Mapping[str, tuple[int, ...]] = field(default_factory=dict[str, tuple[int, ...]])
    is_scaled: bool = True
    rising: int = 0

    @property
    def bounds(self) -> str:
        """Parameters with their bounds, such as `bars 2..252`.

        Those that have to rise say so: `fast 2..30, slow 3..30; fast < slow`.
        """
        bounds = ", ".join(f"{p.name} {p.least}..{p.most}" for p in self.parameters)
        rising = " < ".join(p.name for p in self.parameters[: self.rising])
        return f"{bounds}; {rising}" if rising else bounds

    @property
    def example(self) -> str:
        """Name of a member."""
        largest = tuple(parameter.most for parameter in self.parameters)
        numbers = next(iter([*self.standard, *self.named.values()]), largest)
        return "_".join([self.name, *map(str, numbers)])

    def member(self, numbers: tuple[int, ...], name: str | None = None) -> FeatureDefinition:
        """Return the feature with these numbers."""
        given = {p.name: number for p, number in zip(self.parameters, numbers, strict=True)}
        return FeatureDefinition(
            name=name or "_".join([self.name, *map(str, numbers)]),
            group=self.group,
            formula=self.formula.format(**given),
            unit=self.unit,
            expression=cast("Callable[..., Column]", self.build)(*numbers),
            is_scaled=self.is_scaled,
        )

    def members(self) -> list[FeatureDefinition]:
        """Return the features of the catalogue."""
        plain = [self.member(numbers) for numbers in self.standard]
        return [*plain, *(self.member(numbers, name) for name, numbers in self.named.items())]


def bars_parameter(least: int = 2, most: int = 252, name: str = "bars") -> Parameter:
    """Return the parameter that most families have."""
    return Parameter(name, least, most)
