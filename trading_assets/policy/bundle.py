"""A bundle: all that a decision depends on, as files under one digest.

Paper trading, scoring and replay load a bundle and call `policy.decision.decide` with it.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

from trading_assets.errors import DataError
from trading_assets.feature_specs import FeaturesSpec
from trading_assets.policy.networks import TrainedPolicy, canonical_json, parse_json
from trading_assets.policy.observation import DecisionRules
from trading_assets.strategy import Strategy

FORMAT = 1
MANIFEST_FILE = "bundle.json"
ENSEMBLE_RULE = "mean_action"
_FORECASTER = "forecaster/"
_POLICY = "policy/"


class HasFiles(Protocol):
    """A model that can be written as named files."""

    def to_files(self) -> dict[str, bytes]:
        """Return file names and contents."""
        ...


@dataclass(frozen=True)
class Bundle:
    """Features, forecaster, policies, ensemble rule and limits that decide together.

    Attributes
    ----------
    features : FeaturesSpec
        Features to compute, by name.
    window_bars : int
        Sessions of features that the forecaster needs.
    rules : DecisionRules
        Observations, meaning of actions and risk limits.
    forecaster_files : mapping of str to bytes
        Files of the forecaster; empty when the policies do not observe forecasts.
    policies : mapping of str to tuple of TrainedPolicy
        Members of the ensemble by agent; the mean of all their actions is traded.
    """

    features: FeaturesSpec
    window_bars: int
    rules: DecisionRules
    forecaster_files: Mapping[str, bytes]
    policies: Mapping[str, tuple[TrainedPolicy, ...]]

    def __post_init__(self) -> None:
        members = self.members
        if not members:
            msg = "a bundle had no policy; expected at least one trained agent"
            raise DataError(msg)
        if any(member.rules != self.rules for member in members):
            msg = "policies of a bundle follow different rules; train them on one declaration"
            raise DataError(msg)
        if self.rules.uses_forecasts and not self.forecaster_files:
            msg = "policies observe forecasts and the bundle has no forecaster; add it"
            raise DataError(msg)

    @classmethod
    def from_parts(
        cls,
        strategy: Strategy,
        feature_names: Sequence[str],
        forecaster: HasFiles | None,
        policies: Mapping[str, Sequence[TrainedPolicy]],
    ) -> "Bundle":
        """Return the bundle of freshly trained parts.

        Parameters
        ----------
        strategy : Strategy
            Scaling window of the features and window of the forecaster.
        feature_names : sequence of str
            Resolved names of the computed features.
        forecaster : Forecaster or None
            Trained forecaster; left out when the policies do not observe forecasts.
        policies : mapping of str to sequence of TrainedPolicy
            All seeds of each agent.

        Raises
        ------
        DataError
            If there is no policy, policies differ in their rules, or the forecaster is missing.
        """
        members = [member for seeds in policies.values() for member in seeds]
        if not members:
            msg = "a bundle had no policy; expected at least one trained agent"
            raise DataError(msg)
        is_needed = forecaster is not None and members[0].rules.uses_forecasts
        return cls(
            features=strategy.features.model_copy(update={"names": tuple(feature_names)}),
            window_bars=strategy.forecast.window_bars,
            rules=members[0].rules,
            forecaster_files=forecaster.to_files() if forecaster and is_needed else {},
            policies={agent: tuple(seeds) for agent, seeds in policies.items()},
        )

    @property
    def members(self) -> tuple[TrainedPolicy, ...]:
        """All policies, agents in order of name and seeds as given."""
        return tuple(p for agent in sorted(self.policies) for p in self.policies[agent])

    @cached_property
    def digest(self) -> str:
        """sha256 of the manifest, which holds the sha256 of every file."""
        return hashlib.sha256(self.to_files()[MANIFEST_FILE]).hexdigest()

    def to_files(self) -> dict[str, bytes]:
        """Return nested file names and contents; equal bundles give equal bytes."""
        files = {_FORECASTER + name: data for name, data in self.forecaster_files.items()}
        for agent, seeds in self.policies.items():
            for member in seeds:
                folder = f"{_POLICY}{agent}/seed-{member.seed}/"
                files.update({folder + name: data for name, data in member.to_files().items()})
        manifest = {
            "format": FORMAT,
            "features": self.features.model_dump(mode="json"),
            "window_bars": self.window_bars,
            "rules": self.rules.to_card(),
            "ensemble_rule": ENSEMBLE_RULE,
            "files": {name: hashlib.sha256(data).hexdigest() for name, data in files.items()},
        }
        return {MANIFEST_FILE: canonical_json(manifest), **files}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes], digest: str | None = None) -> "Bundle":
        """Return the bundle that `to_files` wrote.

        Parameters
        ----------
        files : mapping of str to bytes
            All files by nested name.
        digest : str, optional
            Digest that the caller expects.

        Raises
        ------
        DataError
            If the digest differs, a file is missing, added or changed, or a policy is damaged.
        """
        manifest = _verified_manifest(files, digest)
        folders = sorted(
            {name.rpartition("/")[0] for name in files if name.startswith(_POLICY)},
            key=lambda folder: (folder.split("/")[1], int(folder.rpartition("-")[2])),
        )
        policies: dict[str, tuple[TrainedPolicy, ...]] = {}
        for folder in folders:
            agent = folder.split("/")[1]
            member = TrainedPolicy.from_files(_below(files, folder + "/"))
            policies[agent] = (*policies.get(agent, ()), member)
        return cls(
            features=FeaturesSpec.model_validate(manifest["features"]),
            window_bars=manifest["window_bars"],
            rules=DecisionRules.from_card(manifest["rules"]),
            forecaster_files=_below(files, _FORECASTER),
            policies=policies,
        )


def _below(files: Mapping[str, bytes], prefix: str) -> dict[str, bytes]:
    return {name[len(prefix) :]: data for name, data in files.items() if name.startswith(prefix)}


def _verified_manifest(files: Mapping[str, bytes], digest: str | None) -> dict[str, Any]:
    if MANIFEST_FILE not in files:
        msg = f"bundle files were {sorted(files)}; expected {MANIFEST_FILE} among them"
        raise DataError(msg)
    found = hashlib.sha256(files[MANIFEST_FILE]).hexdigest()
    if digest is not None and found != digest:
        msg = f"bundle has digest {found}; expected {digest}: restore its files or train again"
        raise DataError(msg)
    manifest = parse_json(files[MANIFEST_FILE], MANIFEST_FILE)
    if manifest.get("format") != FORMAT or manifest.get("ensemble_rule") != ENSEMBLE_RULE:
        msg = (
            f"bundle has format {manifest.get('format')} and ensemble rule"
            f" {manifest.get('ensemble_rule')}; expected {FORMAT} and {ENSEMBLE_RULE}: train again"
        )
        raise DataError(msg)
    hashes = {
        name: hashlib.sha256(data).hexdigest()
        for name, data in files.items()
        if name != MANIFEST_FILE
    }
    wrong = sorted(
        name
        for name in {*hashes, *manifest["files"]}
        if hashes.get(name) != manifest["files"].get(name)
    )
    if wrong:
        msg = (
            f"bundle files {', '.join(wrong)} are missing, added or changed; expected the hashes"
            f" in {MANIFEST_FILE}: restore them or train again"
        )
        raise DataError(msg)
    return manifest
