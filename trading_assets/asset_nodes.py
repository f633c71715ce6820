"""What an asset is, in a graph of assets: what it reads and on which declared values it depends."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from trading_assets.market_data import MarketDataSpec
from trading_assets.periods import Axis, Periods
from trading_assets.risk_specs import PAPER_LIMITS
from trading_assets.stage_code import code_version
from trading_assets.strategy import BacktestSpec, Strategy


@dataclass(frozen=True, slots=True)
class Reads:
    """An edge: the upstream asset, and the window of it that a partition reads.

    Attributes
    ----------
    asset : str
        Upstream asset, `data_set_or_strategy/name`.
    start_offset, end_offset : int
        Ends of the window, moved by whole partitions of the reader; both 0 is the reader's own.
    reads_all : bool
        Whether every upstream partition is read.
    is_optional : bool
        Whether a partition that does not exist is done without.
    covers_folds : bool
        Whether the window spans all closed folds: the offsets move, in folds, the start of the
        first and the end of the last.
    not_before : date, optional
        Where the window begins at the earliest, however far its offset reaches.
    """

    asset: str
    start_offset: int = 0
    end_offset: int = 0
    reads_all: bool = False
    is_optional: bool = False
    covers_folds: bool = False
    not_before: date | None = None


@dataclass(frozen=True, slots=True)
class AssetNode:
    """One asset of the graph.

    Attributes
    ----------
    key : str
        `data_set_or_strategy/name`.
    stage : str
        Stage of the pipeline: group, lake folder and room of the code.
    axis : Axis
        What its partition keys stand for.
    reads : tuple of Reads
        Upstream windows.
    depends_on : mapping
        Declared values that its content depends on.
    is_record : bool
        Whether a partition is a record of what happened then: never stale, never run again.
    code : str
        Entry of `STAGE_CODE` that its results depend on; empty is that of the stage.
    """

    key: str
    stage: str
    axis: Axis
    reads: tuple[Reads, ...]
    depends_on: Mapping[str, Any]
    is_record: bool = False
    code: str = ""

    @property
    def code_version(self) -> str:
        """Digest of the files that its results depend on."""
        return code_version(self.code or self.stage)

    @property
    def declaration_digest(self) -> str:
        """Digest of the declared values that the asset depends on."""
        return digest(self.depends_on)


@dataclass(frozen=True, slots=True)
class AssetGraph:
    """The assets of one data set or one strategy, in the order data flows."""

    owner: str
    nodes: tuple[AssetNode, ...]
    periods: Periods

    def node(self, key: str) -> AssetNode:
        """Return the node with this key; a KeyError means the graph was asked for a stranger."""
        return {node.key: node for node in self.nodes}[key]


def digest(values: object) -> str:
    """Return the sha256 of values as canonical JSON."""
    text = json.dumps(values, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def values_of(spec: MarketDataSpec | Strategy | BacktestSpec, *names: str) -> dict[str, Any]:
    """Return the named fields of a declaration as JSON values, without limits of orders alone."""
    return spec.model_dump(mode="json", include=set(names), exclude={"risk": set(PAPER_LIMITS)})
