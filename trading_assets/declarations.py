"""Finds the declaration files, parses and validates them.

A declaration is a folder with one `defs.yaml`; the folder's name is the declaration's name. The
same files are loaded by Dagster's component loader; this module is how everything else reads them.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, cast

import yaml
from pydantic import BaseModel, ValidationError

from trading_assets.declaration_mistakes import expected_names, line_of, sentences_of
from trading_assets.declaration_text import read_yaml
from trading_assets.declared import NAME, Profile, merge_overlay
from trading_assets.errors import DeclarationError, UserError, shown
from trading_assets.features.catalogue import feature_names
from trading_assets.lake.names import RESERVED
from trading_assets.market_data import MarketDataSpec
from trading_assets.members_file import members_path, read_members
from trading_assets.risk.limits import require_declared_limits
from trading_assets.strategy import Strategy

COMPONENTS: dict[str, type[MarketDataSpec] | type[Strategy]] = {
    "trading_assets.pipeline.component.MarketData": MarketDataSpec,
    "trading_assets.pipeline.component.TradingPipeline": Strategy,
}
FILE_NAME = "defs.yaml"
PACKAGED = Path(__file__).parent / "defs"

_DEEPEST_FIELD = 8

Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Declarations:
    """All declarations found, by name, in one profile."""

    market_data: Mapping[str, MarketDataSpec]
    strategies: Mapping[str, Strategy]
    files: Mapping[str, Path] = field(default_factory=dict[str, Path])

    def restricted_to(self, names: Sequence[str]) -> "Declarations":
        """Return these strategies, and named data sets, with the data sets that they read.

        Raises
        ------
        DeclarationError
            If a name is not declared.
        """
        for name in names:
            if name not in self.files:
                msg = f"{shown(name)} is not declared; {expected_names(name, self.files)}"
                raise DeclarationError(msg)
        strategies = {n: s for n, s in self.strategies.items() if n in names}
        read = {strategy.market_data for strategy in strategies.values()} | set(names)
        market_data = {n: spec for n, spec in self.market_data.items() if n in read}
        files = {n: p for n, p in self.files.items() if n in {*strategies, *market_data}}
        return Declarations(market_data, strategies, files)

    def market_data_of(self, strategy: str) -> MarketDataSpec:
        """Return the data set that the named strategy reads."""
        return self.market_data[self.strategies[strategy].market_data]

    def strategy(self, name: str) -> Strategy:
        """Return the named strategy.

        Raises
        ------
        DeclarationError
            If no strategy has that name.
        """
        if name not in self.strategies:
            msg = f"strategy {shown(name)} is not declared; {expected_names(name, self.strategies)}"
            raise DeclarationError(msg)
        return self.strategies[name]


def load_declarations(roots: Sequence[Path], profile: Profile) -> Declarations:
    """Parse and validate every declaration below `roots`.

    Parameters
    ----------
    roots : sequence of Path
        Folders whose sub-folders each hold one `defs.yaml`; absent folders are passed over.
    profile : {'development', 'production'}
        Whose values are laid over the declared ones.

    Raises
    ------
    DeclarationError
        Naming file, line, field and what was expected.
    """
    files: dict[str, Path] = {}
    market_data: dict[str, MarketDataSpec] = {}
    strategies: dict[str, Strategy] = {}
    for path in declaration_files(roots):
        name = path.parent.name
        if name in files:
            msg = f"{path}: the name {name!r} is already declared in {files[name]}; rename a folder"
            raise DeclarationError(msg)
        _require_name(path)
        declared = read_declaration(path, profile)
        files[name] = path
        if isinstance(declared, MarketDataSpec):
            market_data[name] = declared
        else:
            strategies[name] = declared
    for name, strategy in strategies.items():
        if strategy.market_data not in market_data:
            line = line_of(files[name], ("attributes", "market_data"))
            msg = (
                f"{files[name]}:{line}: market_data was {strategy.market_data!r}, which is not"
                f" declared; {expected_names(strategy.market_data, market_data)}"
            )
            raise DeclarationError(msg)
        _require_daily_bars(strategy, market_data[strategy.market_data], files[name])
        _require_features(strategy, files[name])
        _require_limits(strategy, market_data[strategy.market_data], files[name])
    return Declarations(market_data, strategies, files)


def _require_name(path: Path) -> None:
    name = path.parent.name
    if not NAME.match(name) or name in RESERVED:
        msg = (
            f"{path.parent}: the folder's name is the declaration's; expected a lower-case letter,"
            f" then letters, digits and _, at most 40, and none of {', '.join(sorted(RESERVED))};"
            " rename it"
        )
        raise DeclarationError(msg)


def _require_features(strategy: Strategy, path: Path) -> None:
    try:
        feature_names(strategy.features)
    except UserError as error:
        msg = f"{path}:{line_of(path, ('attributes', 'features', 'names'))}: features: {error}"
        raise DeclarationError(msg) from error


def _require_limits(strategy: Strategy, market: MarketDataSpec, path: Path) -> None:
    try:
        require_declared_limits(strategy.risk, strategy.policy, market.universe)
    except DeclarationError as error:
        msg = f"{path}:{line_of(path, ('attributes', 'risk'))}: risk: {error}"
        raise DeclarationError(msg) from error


def _require_daily_bars(strategy: Strategy, market: MarketDataSpec, path: Path) -> None:
    if market.bar_length != "1d":
        line = line_of(path, ("attributes", "market_data"))
        msg = (
            f"{path}:{line}: market_data {strategy.market_data!r} has bars of {market.bar_length};"
            " strategies decide once a session, so declare bar_length 1d there and the finer length"
            " as fetched_bar_length"
        )
        raise DeclarationError(msg)


def read_declaration(path: Path, profile: Profile) -> MarketDataSpec | Strategy:
    """Parse one `defs.yaml` and validate it in a profile.

    Raises
    ------
    DeclarationError
        Naming file, line, field and what was expected.
    """
    document = parse_document(path)
    model = COMPONENTS[document["type"]]
    attributes = cast("dict[str, Any]", document["attributes"])
    return _in_profile(model, attributes, path, profile)


def _in_profile(
    model: type[MarketDataSpec] | type[Strategy],
    attributes: Mapping[str, Any],
    path: Path,
    profile: Profile,
    prefix: str = "",
) -> MarketDataSpec | Strategy:
    declared = _validate(model, attributes, path, prefix)
    overlay = cast("dict[str, Any]", getattr(declared.profiles, profile))
    if not overlay:
        return declared
    merged = merge_overlay(attributes, overlay)
    return _validate(model, merged, path, f"{prefix}profile {profile}: ")


def parse_document(path: Path) -> dict[str, Any]:
    """Return a declaration file as plain values, its `type` and `attributes` present."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        msg = f"{path}: cannot be read ({error}); expected a file in UTF-8"
        raise DeclarationError(msg) from error
    document = read_yaml(text, str(path))
    if not isinstance(document, dict):
        msg = f"{path}:1: expected a mapping with `type` and `attributes`"
        raise DeclarationError(msg)
    values = cast("dict[str, Any]", document)
    kind = values.get("type")
    if not isinstance(kind, str) or kind not in COMPONENTS:
        expected = " or ".join(COMPONENTS)
        msg = f"{path}:{line_of(path, ('type',))}: type was {shown(kind)}; expected {expected}"
        raise DeclarationError(msg)
    if not isinstance(values.get("attributes"), dict):
        msg = f"{path}:{line_of(path, ('attributes',))}: attributes is missing; expected a mapping"
        raise DeclarationError(msg)
    return values


def parse_assignments(assignments: Iterable[str]) -> dict[str, Any]:
    """Return `key.path=value` texts as one nested mapping, values read as YAML.

    Raises
    ------
    DeclarationError
        If a text has no `=` or names no field.
    """
    overlay: dict[str, Any] = {}
    for text in assignments:
        path, separator, value = text.partition("=")
        keys = path.strip().split(".")
        if not separator or not all(keys) or len(keys) > _DEEPEST_FIELD:
            msg = f"--set was {shown(text)}; expected field=value, such as costs.fee_bps=2"
            raise DeclarationError(msg)
        nested: dict[str, Any] = {keys[-1]: read_yaml(value, f"--set {shown(path)}")}
        for key in reversed(keys[:-1]):
            nested = {key: nested}
        overlay = merge_overlay(overlay, nested)
    return overlay


def write_variant(base: Path, overlay: Mapping[str, Any], target: Path) -> None:
    """Write `base` with `overlay` laid over its attributes as a declaration of its own.

    Parameters
    ----------
    base : Path
        The `defs.yaml` that is varied.
    overlay : mapping
        Attributes that win.
    target : Path
        The `defs.yaml` to write; its folder's name becomes the strategy's name.

    Raises
    ------
    DeclarationError
        If the varied declaration does not follow its model; nothing is written then.
    """
    _require_name(target)
    document = parse_document(base)
    attributes = merge_overlay(document["attributes"], overlay)
    model = COMPONENTS[document["type"]]
    # Only this profile takes variants.
    _in_profile(model, attributes, base, "development", "--set: ")
    # The variant stands in another folder, where a file of the base is not.
    standalone = _with_members(model, attributes, base)
    text = yaml.safe_dump({**document, "attributes": standalone}, sort_keys=False)
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = target.with_name(f".{target.name}.tmp")
    aside.write_text(text, encoding="utf-8")
    aside.replace(target)


def declaration_files(roots: Sequence[Path]) -> list[Path]:
    """Return every `defs.yaml` below the roots, roots in order, names in order within a root."""
    return [path for root in roots for path in sorted(root.glob(f"*/{FILE_NAME}"))]


def _validate(
    model: type[Model], attributes: Mapping[str, Any], path: Path, prefix: str = ""
) -> Model:
    attributes = _with_members(model, attributes, path, prefix)
    try:
        return model.model_validate(attributes, context={"folder": path.parent})
    except ValidationError as error:
        raise DeclarationError(sentences_of(error, model, path, prefix)) from error


def _with_members(
    model: type[BaseModel], attributes: Mapping[str, Any], path: Path, prefix: str = ""
) -> Mapping[str, Any]:
    """Return the attributes with a universe that stands in a file as the members it lists."""
    universe = attributes.get("universe")
    if model is not MarketDataSpec or not isinstance(universe, str):
        return attributes
    try:
        file = members_path(universe, path.parent)
    except DeclarationError as error:
        line = line_of(path, ("attributes", "universe"))
        msg = f"{path}:{line}: {prefix}universe: {error}"
        raise DeclarationError(msg) from error
    return {**attributes, "universe": read_members(file)}
