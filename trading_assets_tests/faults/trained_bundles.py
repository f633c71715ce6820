"""Bundles of all kinds, small and quick to make: what sweeps alter."""

import hashlib
from collections.abc import Mapping
from functools import cache

from trading_assets.encoder_specs import LstmEncoderSpec
from trading_assets.forecast.train import train_forecaster
from trading_assets.policy.bundle import MANIFEST_FILE, Bundle
from trading_assets_tests.policy.tasks import make_policy, make_strategy
from trading_assets_tests.policy.test_decision import DAYS, KNOWN, NAMES, STRATEGY, SYMBOLS

Files = Mapping[str, bytes]

_ENCODER = LstmEncoderSpec(kind="lstm", hidden_units=3)


def digest_of(files: Files) -> str:
    """Return the digest by which a champion's record names a bundle."""
    return hashlib.sha256(files[MANIFEST_FILE]).hexdigest()


@cache
def trained_bundles() -> Mapping[str, Files]:
    """Return the files of three bundles: of two kinds of forecasters, and of none."""
    weighing = STRATEGY.model_copy(
        update={
            "policy": make_strategy(
                policy={
                    **STRATEGY.policy.model_dump(mode="json", exclude_defaults=True),
                    "ensemble": "exponentiated_gradient",
                }
            ).policy
        }
    )
    linear, network = (
        train_forecaster(
            KNOWN, DAYS[300:520], DAYS[520:570], STRATEGY.forecast, NAMES, candidates=[candidate]
        )
        for candidate in ("logistic", "network")
    )
    blind = make_strategy(
        features={"names": NAMES},
        policy={
            "observed_features": ["log_return_5"],
            "uses_forecasts": False,
            "confidence_sizing": "none",
        },
    )
    plain = {"ppo": [make_policy(STRATEGY, SYMBOLS, 2)], "sac": [make_policy(STRATEGY, SYMBOLS, 0)]}
    recurrent = [
        make_policy(weighing, SYMBOLS, 1, memory_units=4),
        make_policy(weighing, SYMBOLS, 3, encoder=_ENCODER),
    ]
    weights = {"ppo/seed-1": 0.25, "ppo/seed-3": 0.75}
    state = linear.start_state.to_json()
    bundles = {
        "linear": Bundle.from_parts(STRATEGY, NAMES, linear, plain, forecast_state=state),
        "network": Bundle.from_parts(weighing, NAMES, network, {"ppo": recurrent}, weights),
        "blind": Bundle.from_parts(blind, NAMES, None, {"ppo": [make_policy(blind, SYMBOLS, 5)]}),
    }
    return {name: bundle.to_files() for name, bundle in bundles.items()}
