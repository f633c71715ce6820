"""Checks that an asset's own run evaluates: their specification and their result."""

from collections.abc import Sequence
from typing import Any

import dagster as dg

from trading_assets.asset_nodes import AssetNode


def check(
    name: str, problems: Sequence[str], *, is_warning: bool = False, **metadata: Any
) -> dg.AssetCheckResult:
    """Return the result of a check that passes when there are no problems.

    Parameters
    ----------
    name : str
        Name of the check, a sentence that is true when it passes.
    problems : sequence of str
        What contradicts the sentence, at most the first twenty are shown.
    is_warning : bool
        Whether a failure is reported without blocking.
    metadata
        Further evidence.
    """
    shown = "\n".join(f"- {problem}" for problem in problems[:20])
    return dg.AssetCheckResult(
        check_name=name,
        passed=not problems,
        severity=dg.AssetCheckSeverity.WARN if is_warning else dg.AssetCheckSeverity.ERROR,
        description=problems[0] if problems else None,
        # The UI hides Markdown behind a click: worth it only where there is something to see.
        metadata={"problems": dg.MetadataValue.md(shown) if shown else "none", **metadata},
    )


def check_spec(node: AssetNode, name: str, description: str, *, blocks: bool) -> dg.AssetCheckSpec:
    """Return the specification of a check that its asset's own run evaluates."""
    return dg.AssetCheckSpec(
        name, asset=dg.AssetKey(node.key.split("/")), description=description, blocking=blocks
    )
