from dataclasses import replace

import pytest

from trading_assets.errors import DataError
from trading_assets.policy.bundle import MANIFEST_FILE, Bundle
from trading_assets_tests.policy.tasks import make_policy, make_strategy

STRATEGY = make_strategy()
POLICIES = {"ppo": [make_policy(STRATEGY, seed=seed) for seed in (2, 10)]}


class StandInForecaster:
    def to_files(self):
        return {"weights.safetensors": b"numbers", "card.json": b"{}"}


BUNDLE = Bundle.from_parts(STRATEGY, ["momentum", "reversal"], StandInForecaster(), POLICIES)


def test_a_bundle_read_back_has_the_same_digest_and_bytes():
    files = BUNDLE.to_files()
    assert sorted(files) == [
        "bundle.json",
        "forecaster/card.json",
        "forecaster/weights.safetensors",
        "policy/ppo/seed-10/card.json",
        "policy/ppo/seed-10/weights.safetensors",
        "policy/ppo/seed-2/card.json",
        "policy/ppo/seed-2/weights.safetensors",
    ]
    again = Bundle.from_files(files, digest=BUNDLE.digest)
    assert again.digest == BUNDLE.digest
    assert again.to_files() == files
    assert [member.seed for member in again.members] == [2, 10]
    assert again.rules == BUNDLE.rules


@pytest.mark.parametrize("name", sorted(BUNDLE.to_files()))
def test_one_changed_byte_in_any_file_is_refused(name):
    files = BUNDLE.to_files()
    damaged = bytearray(files[name])
    damaged[len(damaged) // 2] ^= 1
    with pytest.raises(DataError):
        Bundle.from_files({**files, name: bytes(damaged)}, digest=BUNDLE.digest)


def test_a_missing_or_added_file_is_named():
    files = BUNDLE.to_files()
    missing = {name: data for name, data in files.items() if "seed-2/card" not in name}
    with pytest.raises(DataError, match="seed-2/card"):
        Bundle.from_files(missing)
    with pytest.raises(DataError, match=r"notes\.txt"):
        Bundle.from_files({**files, "notes.txt": b"hello"})
    with pytest.raises(DataError, match=r"bundle\.json"):
        Bundle.from_files({"card.json": b"{}"})


def test_the_digest_depends_on_every_part():
    limits = replace(BUNDLE.rules.limits, max_gross=0.8)
    rules = replace(BUNDLE.rules, limits=limits)
    tighter = tuple(replace(member, rules=rules) for member in BUNDLE.members)
    variants = [
        BUNDLE,
        replace(BUNDLE, policies={"ppo": BUNDLE.members[:1]}),
        replace(BUNDLE, forecaster_files={"card.json": b"{}"}),
        replace(BUNDLE, features=BUNDLE.features.model_copy(update={"scale_bars": 100})),
        replace(BUNDLE, rules=rules, policies={"ppo": tighter}),
        replace(BUNDLE, window_bars=20),
    ]
    assert len({variant.digest for variant in variants}) == len(variants)


def test_policies_of_different_rules_do_not_make_a_bundle():
    other = make_policy(make_strategy(risk={"max_weight": 0.2, "max_gross": 0.9}))
    with pytest.raises(DataError, match="different rules"):
        Bundle.from_parts(
            STRATEGY, ["momentum"], StandInForecaster(), {"ppo": [*POLICIES["ppo"], other]}
        )


def test_a_bundle_needs_a_policy_and_the_forecaster_it_observes():
    with pytest.raises(DataError, match="no policy"):
        Bundle.from_parts(STRATEGY, ["momentum"], StandInForecaster(), {"ppo": []})
    with pytest.raises(DataError, match="no forecaster"):
        Bundle.from_parts(STRATEGY, ["momentum"], None, POLICIES)


def test_the_manifest_is_part_of_what_is_verified():
    files = BUNDLE.to_files()
    loosened = files[MANIFEST_FILE].replace(b'"max_gross":0.9', b'"max_gross":9.9')
    assert loosened != files[MANIFEST_FILE]
    with pytest.raises(DataError, match="different rules"):
        Bundle.from_files({**files, MANIFEST_FILE: loosened})
