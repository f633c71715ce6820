"""JSON files of a policy and of a bundle: written canonically, checked before they are used."""

import json
import math
from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from trading_assets.declared import Name
from trading_assets.errors import DataError, shown
from trading_assets.feature_specs import FeaturesSpec

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
_Count = Annotated[int, Field(ge=0, lt=2**63)]
_Level = Annotated[float, Field(ge=-1, le=1)]
# Steps, score and, where there is a constraint, its share and multiplier.
_Point = tuple[_Count, float] | tuple[_Count, float, float] | tuple[_Count, float, float, float]


class _Written(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, strict=True)


class PolicyCard(_Written):
    """What a policy's `card.json` holds; rules and encoder are checked where they are read."""

    format: int
    algorithm: Name
    seed: _Count
    output: str
    levels: tuple[_Level, ...]
    encoder: dict[str, Any] | None
    shapes: dict[str, tuple[_Count, ...]]
    rules: dict[str, Any]
    history: tuple[_Point, ...]
    selected_steps: _Count
    weights_sha256: Sha256


class BundleManifest(_Written):
    """What `bundle.json` holds; rules are checked where they are read."""

    format: int
    features: FeaturesSpec
    window_bars: int = Field(ge=1, le=10_000)
    rules: dict[str, Any]
    ensemble_rule: str
    files: dict[str, Sha256]
    member_weights: dict[str, float] = Field(default_factory=dict)


Written = TypeVar("Written", bound=_Written)


def read_written(kind: type[Written], content: bytes, name: str) -> Written:
    """Return what a file holds, or refuse the file by name.

    Raises
    ------
    DataError
        Naming the first field that is missing, unknown, or not of its type or range.
    """
    try:
        return kind.model_validate_json(content)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in problem["loc"]) or "the whole"
        msg = (
            f"{name}: {field[:80]} was {shown(problem['input'])}, which does not fit"
            f" ({problem['msg'][:200]}); expected the file as it was written: restore it or train"
            " again"
        )
        raise DataError(msg) from error


def canonical_json(value: Mapping[str, Any]) -> bytes:
    """Return JSON with sorted keys and no spaces; nan is refused."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def parse_json(content: bytes, name: str) -> dict[str, Any]:
    """Return a JSON object, or refuse the file by name.

    Raises
    ------
    DataError
        If the content is not a JSON object, or holds a number that is not finite.
    """
    try:
        value = json.loads(content, parse_constant=_finite, parse_float=_finite)
    except RecursionError as error:
        msg = f"{name} is not JSON (nested too deep); restore the file or train again"
        raise DataError(msg) from error
    except ValueError as error:
        msg = f"{name} is not JSON ({shown(str(error))}); restore the file or train again"
        raise DataError(msg) from error
    if not isinstance(value, dict):
        msg = f"{name} holds a {type(value).__name__}; expected a JSON object: restore the file or"
        msg += " train again"
        raise DataError(msg)
    return value


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        msg = f"{text[:40]} is not finite"
        raise ValueError(msg)
    return number
