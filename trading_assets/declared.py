"""The base of all declarations, and the types they share."""

import re
from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any, Literal, cast

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import InitErrorDetails

from trading_assets.bars.calendars.calendar import FIRST_DAY, LAST_DAY
from trading_assets.errors import shown
from trading_assets.symbols import SYMBOL_PATTERN, compose


def _composed(value: Any) -> Any:  # noqa: ANN401 # whatever YAML holds
    if isinstance(value, bool):
        raise _truth_value(value)
    return compose(value) if isinstance(value, str) else value


def _as_written(value: Any) -> Any:  # noqa: ANN401 # whatever YAML holds
    # A number would be taken for seconds since 1970.
    is_day = type(value) is date or (isinstance(value, str) and _DAY.match(value))
    if not is_day:
        msg = f"was {shown(value)}; expected a day as YYYY-MM-DD"
        raise ValueError(msg)
    return value


def _covered(day: date) -> date:
    if not FIRST_DAY <= day <= LAST_DAY:
        msg = f"was {day}; expected a day from {FIRST_DAY} to {LAST_DAY}, which the calendars cover"
        raise ValueError(msg)
    return day


def _truth_value(value: bool) -> ValueError:
    return ValueError(
        f"was {str(value).lower()}; expected another kind of value (YAML takes yes, no, on and off"
        " for true and false, so put a text in quotes)"
    )


def _misread(value: Any, kind: Any) -> ValueError | None:  # noqa: ANN401
    return _truth_value(value) if isinstance(value, bool) and kind is not bool else None


_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")
# Above it, not every integer is a floating-point number too.
_LARGEST_INTEGER = 2**53


NAME = re.compile(r"[a-z][a-z0-9_]{0,39}\Z")
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
Symbol = Annotated[str, BeforeValidator(_composed), Field(pattern=SYMBOL_PATTERN)]
SectorName = Annotated[str, Field(min_length=1, max_length=60)]
ModuleName = Annotated[
    str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*$", max_length=200)
]
Day = Annotated[date, BeforeValidator(_as_written)]
CoveredDay = Annotated[Day, AfterValidator(_covered)]
Profile = Literal["development", "production"]


class Declared(BaseModel):
    """A frozen part of a declaration that refuses unknown fields."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _numbers_are_numbers(cls, values: Any) -> Any:  # noqa: ANN401 # whatever YAML holds
        """Refuse a truth value where none is meant."""
        if not isinstance(values, Mapping):
            return values
        problems: list[InitErrorDetails] = []
        for name, value in cast("Mapping[str, Any]", values).items():
            declared = cls.model_fields.get(name)
            error = None if declared is None else _misread(value, declared.annotation)
            if error is not None:
                problem = InitErrorDetails(type="value_error", loc=(name,), input=value)
                problems.append({**problem, "ctx": {"error": error}})
        if problems:
            # In place of a mere ValueError, so that each field is named.
            raise ValidationError.from_exception_data(cls.__name__, problems)
        return cast("Mapping[str, Any]", values)

    @field_validator("*", mode="after")
    @classmethod
    def _integers_are_exact(cls, value: Any) -> Any:  # noqa: ANN401 # of any field
        if isinstance(value, int) and abs(value) > _LARGEST_INTEGER:
            msg = f"was {shown(value)}; expected a number of at most {_LARGEST_INTEGER}"
            raise ValueError(msg)
        return value


class Overlays(Declared):
    """Values that replace declared ones when the named profile is chosen."""

    development: dict[str, Any] = Field(default_factory=dict)
    production: dict[str, Any] = Field(default_factory=dict)


def merge_overlay(values: Mapping[str, Any], overlay: Mapping[str, Any]) -> dict[str, Any]:
    """Return `values` with `overlay` laid over it, mapping by mapping.

    Parameters
    ----------
    values : mapping
        Declared attributes.
    overlay : mapping
        Attributes that win; nested mappings are merged, everything else is replaced.
    """
    merged = dict(values)
    for key, value in overlay.items():
        present = merged.get(key)
        if isinstance(value, Mapping) and isinstance(present, Mapping):
            merged[key] = merge_overlay(present, value)  # pyright: ignore[reportUnknownArgumentType]
        else:
            merged[key] = value
    return merged
