"""What a policy is trained with beside its strategy's values: the data set, code and own modules.

Kept with each training, so that what is counted as tried is what was trained, not what is declared
by the time it is looked at.
"""

import hashlib
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from trading_assets.asset_nodes import AssetNode
from trading_assets.pipeline.declared import Declared
from trading_assets.pipeline.market_values import market_values

MADE_WITH = "made_with"
_NAMES_OF_MODULES = ("module", "modules", "factory", "model")


def made_with(declared: Declared, node: AssetNode) -> dict[str, Any]:
    """Return the data set's declaration, code versions upstream and sha256 of own modules.

    Parameters
    ----------
    declared : Declared
        The strategy.
    node : AssetNode
        What is made; its own code counts too.

    Returns
    -------
    dict
        `market_data`, the values that decide which bars there are; `code`, a version by name of
        asset; `modules`, a sha256 by name of module, None of one that is not installed here.
    """
    nodes = [node, *_upstream(declared, node)]
    market = market_values(declared.market)
    named = {name for values in (market, node.depends_on) for name in _modules(values)}
    return {
        "market_data": market,
        "code": {own.key.split("/", 1)[1]: own.code_version for own in nodes},
        "modules": {name: _sha256_of_module(name) for name in sorted(named)},
    }


def _upstream(declared: Declared, node: AssetNode) -> list[AssetNode]:
    found: dict[str, AssetNode] = {}
    waiting = [node]
    while waiting:
        for edge in waiting.pop().reads:
            if edge.asset not in found:
                found[edge.asset] = declared.upstream(edge.asset)[1]
                waiting.append(found[edge.asset])
    return list(found.values())


def _modules(values: Any, name: str = "") -> Iterator[str]:
    """Return the modules that declared values name, wherever they do."""
    if isinstance(values, dict):
        for key, value in values.items():
            yield from _modules(value, str(key))
    elif isinstance(values, list | tuple):
        for value in values:
            yield from _modules(value, name)
    elif isinstance(values, str) and name in _NAMES_OF_MODULES:
        module, _, attribute = values.partition(":")
        # A model without a function is one of the shipped ones.
        if attribute or name != "model":
            yield module


def _sha256_of_module(name: str) -> str | None:
    try:
        spec = find_spec(name)
    except ModuleNotFoundError:  # the package that it should be in
        return None
    if spec is None:
        return None
    hasher = hashlib.sha256()
    for path in _files(spec.origin, spec.submodule_search_locations):
        hasher.update(path.name.encode())
        hasher.update(path.read_bytes())
    return hasher.hexdigest()


def _files(origin: str | None, folders: Any) -> list[Path]:
    if folders:
        return sorted(path for folder in folders for path in Path(folder).rglob("*.py"))
    return [Path(origin)] if origin is not None and Path(origin).is_file() else []
