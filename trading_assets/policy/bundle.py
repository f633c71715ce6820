"""A bundle: all that a decision depends on, as files under one digest.

Paper trading, scoring and replay load a bundle and call `policy.decision.decide` with it.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol, cast, get_args

from trading_assets.ensemble_specs import EnsembleRule
from trading_assets.errors import DataError, shown
from trading_assets.feature_specs import FeaturesSpec
from trading_assets.policy.decision_rules import DecisionRules
from trading_assets.policy.ensemble import Ensemble, member_name
from trading_assets.policy.model_cards import (
    BundleManifest,
    canonical_json,
    parse_json,
    read_written,
)
from trading_assets.policy.networks import TrainedPolicy
from trading_assets.strategy import Strategy

# Of equal members, and of members with weights.
FORMAT, WEIGHTED_FORMAT = 1, 2
MANIFEST_FILE = "bundle.json"
ENSEMBLE_RULE: EnsembleRule = "mean_action"
_WEIGHTED_RULES = [rule for rule in get_args(EnsembleRule) if rule != ENSEMBLE_RULE]
_FORECASTER = "forecaster/"
# Beside the forecaster's own files.
STATE_FILE = "conformal_state.json"
_POLICY = "policy/"
_FILE_NAME = re.compile(
    r"forecaster/(card\.json|weights\.safetensors|conformal_state\.json)"
    r"|policy/[a-z][a-z0-9_]{0,39}/seed-(0|[1-9][0-9]{0,18})/(card\.json|weights\.safetensors)"
)


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
        Members of the ensemble by agent; the weighted mean of their actions is traded.
    ensemble_rule : {"mean_action", "trailing_sharpe", "exponentiated_gradient"}
        What the weights were made by.
    weights : mapping of str to float
        Weight of each member by `agent/seed-n`; empty for `mean_action`, where all weigh the same.
    """

    features: FeaturesSpec
    window_bars: int
    rules: DecisionRules
    forecaster_files: Mapping[str, bytes]
    policies: Mapping[str, tuple[TrainedPolicy, ...]]
    ensemble_rule: EnsembleRule = ENSEMBLE_RULE
    weights: Mapping[str, float] = field(default_factory=dict[str, float])

    def __post_init__(self) -> None:
        if not any(self.policies.values()):
            msg = "a bundle had no policy; expected at least one trained agent: train one"
            raise DataError(msg)
        names = [member_name(agent, policy.seed) for agent, policy in self._named()]
        expected = [] if self.ensemble_rule == ENSEMBLE_RULE else sorted(names)
        if sorted(self.weights) != expected:
            msg = (
                f"a bundle of rule {self.ensemble_rule} had weights of {sorted(self.weights)};"
                f" expected those of {expected}: train again"
            )
            raise DataError(msg)
        members = self.members
        if any(member.rules != self.rules for member in members):
            msg = "policies of a bundle follow different rules; expected one: train them again"
            raise DataError(msg)
        if self.rules.uses_forecasts and not self.forecaster_files:
            msg = (
                "policies observe forecasts and the bundle has no forecaster; expected its files:"
                " restore them or train again"
            )
            raise DataError(msg)
        if self.forecaster_files and not self.rules.uses_forecasts:
            msg = (
                f"a bundle whose policies observe no forecasts had {len(self.forecaster_files)}"
                " files of a forecaster; expected none: train again"
            )
            raise DataError(msg)

    @classmethod
    def from_parts(
        cls,
        strategy: Strategy,
        feature_names: Sequence[str],
        forecaster: HasFiles | None,
        policies: Mapping[str, Sequence[TrainedPolicy]],
        weights: Mapping[str, float] | None = None,
        forecast_state: bytes = b"",
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
        weights : mapping of str to float, optional
            Weight of each member, as `ensemble.member_weights` gives it; needed where the declared
            rule is not `mean_action`.
        forecast_state : bytes
            State that the first decision's intervals go on from; they start anew without.

        Raises
        ------
        DataError
            If there is no policy, policies differ in their rules, or the forecaster or weights are
            missing.
        """
        rule = strategy.policy.ensemble.rule
        members = [member for seeds in policies.values() for member in seeds]
        if not members:
            msg = "a bundle had no policy; expected at least one trained agent"
            raise DataError(msg)
        forecaster_files: dict[str, bytes] = {}
        if forecaster is not None and members[0].rules.uses_forecasts:
            state = {STATE_FILE: forecast_state} if forecast_state else {}
            forecaster_files = {**forecaster.to_files(), **state}
        return cls(
            features=strategy.features.model_copy(update={"names": tuple(feature_names)}),
            window_bars=strategy.forecast.window_bars,
            rules=members[0].rules,
            forecaster_files=forecaster_files,
            policies={agent: tuple(seeds) for agent, seeds in policies.items()},
            ensemble_rule=rule,
            weights={} if rule == ENSEMBLE_RULE or weights is None else dict(weights),
        )

    @property
    def members(self) -> Ensemble:
        """All policies with their weights, agents in order of name and seeds as given."""
        named = self._named()
        weights = tuple(
            self.weights[member_name(agent, p.seed)] for agent, p in named if self.weights
        )
        return Ensemble(tuple(policy for _, policy in named), weights or None)

    def _named(self) -> list[tuple[str, TrainedPolicy]]:
        return [(agent, p) for agent in sorted(self.policies) for p in self.policies[agent]]

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
            "format": WEIGHTED_FORMAT if self.weights else FORMAT,
            "features": self.features.model_dump(mode="json"),
            "window_bars": self.window_bars,
            "rules": self.rules.to_card(),
            "ensemble_rule": self.ensemble_rule,
            "files": {name: hashlib.sha256(data).hexdigest() for name, data in files.items()},
        }
        if self.weights:
            manifest["member_weights"] = dict(self.weights)
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
            If the digest differs, a file is missing, added or changed, or the manifest or a policy
            is damaged, whether or not their hashes fit.
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
            if folder != _POLICY + member_name(agent, member.seed):
                msg = (
                    f"the policy in {folder} was of seed {member.seed}; expected the seed of its"
                    " folder: restore the files or train again"
                )
                raise DataError(msg)
            policies[agent] = (*policies.get(agent, ()), member)
        return cls(
            features=manifest.features,
            window_bars=manifest.window_bars,
            rules=DecisionRules.from_card(manifest.rules),
            forecaster_files=_below(files, _FORECASTER),
            policies=policies,
            ensemble_rule=cast("EnsembleRule", manifest.ensemble_rule),
            weights=manifest.member_weights,
        )


def _below(files: Mapping[str, bytes], prefix: str) -> dict[str, bytes]:
    return {name[len(prefix) :]: data for name, data in files.items() if name.startswith(prefix)}


def _verified_manifest(files: Mapping[str, bytes], digest: str | None) -> BundleManifest:
    if MANIFEST_FILE not in files:
        msg = (
            f"bundle files were {shown(sorted(files))}; expected {MANIFEST_FILE} among them:"
            " restore it or train again"
        )
        raise DataError(msg)
    found = hashlib.sha256(files[MANIFEST_FILE]).hexdigest()
    if digest is not None and found != digest:
        msg = f"bundle has digest {found}; expected {digest}: restore its files or train again"
        raise DataError(msg)
    values = parse_json(files[MANIFEST_FILE], MANIFEST_FILE)
    made = values.get("format"), values.get("ensemble_rule")
    known = [(FORMAT, ENSEMBLE_RULE), *((WEIGHTED_FORMAT, rule) for rule in _WEIGHTED_RULES)]
    if made not in known:
        listed = ", ".join(f"{number} and {rule}" for number, rule in known)
        msg = (
            f"bundle has format {_plain(made[0])} and ensemble rule {_plain(made[1])}; expected one"
            f" of {listed}: train again"
        )
        raise DataError(msg)
    manifest = read_written(BundleManifest, files[MANIFEST_FILE], MANIFEST_FILE)
    _require_files(files, manifest)
    return manifest


def _plain(value: object) -> str:
    return value if isinstance(value, str) and value.isidentifier() else shown(value)


def _require_files(files: Mapping[str, bytes], manifest: BundleManifest) -> None:
    hashes = {
        name: hashlib.sha256(data).hexdigest()
        for name, data in files.items()
        if name != MANIFEST_FILE
    }
    names = {*hashes, *manifest.files}
    wrong = sorted(name for name in names if hashes.get(name) != manifest.files.get(name))
    if wrong:
        more = f" and {len(wrong) - 5} more" * (len(wrong) > 5)
        msg = (
            f"bundle files {', '.join(shown(name) for name in wrong[:5])}{more} are missing, added"
            f" or changed; expected the hashes in {MANIFEST_FILE}: restore them or train again"
        )
        raise DataError(msg)
    strangers = sorted(name for name in names if not _FILE_NAME.fullmatch(name))
    if strangers:
        msg = (
            f"a bundle had a file named {shown(strangers[0])}; expected the files of a forecaster"
            " and of policies only: train again"
        )
        raise DataError(msg)
