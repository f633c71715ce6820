import hashlib
import os
import subprocess
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load, save
from threadpoolctl import threadpool_info

from trading_assets.errors import DataError
from trading_assets.forecast.gates.fit_boosting import fit_boosting
from trading_assets.forecast.gates.fit_logistic import fit_logistic
from trading_assets.forecast.gates.gate import GateModel, GateName, restore_gate
from trading_assets.forecast.gates.prior import fit_prior
from trading_assets_tests.forecast.planted_samples import make_samples

WIDTH = 20
NAMES: tuple[GateName, ...] = ("prior", "logistic", "boosting")


def signal(inputs: np.ndarray) -> np.ndarray:
    return 0.5 * inputs[:, 0] * (inputs[:, 1] > 0)


def fit_gates() -> dict[GateName, GateModel]:
    train, _ = make_samples(signal, 400, seed=1, width=WIDTH)
    stopping, _ = make_samples(signal, 100, seed=2, width=WIDTH)
    return {
        "prior": fit_prior(train),
        "logistic": fit_logistic(train, stopping),
        "boosting": fit_boosting(train, stopping, 5, 0),
    }


def all_tensors(gates: dict[GateName, GateModel]) -> dict[str, torch.Tensor]:
    return {name: value for gate in gates.values() for name, value in gate.tensors().items()}


def digest() -> str:
    # With fewer rows linear algebra does not share its work among threads.
    train, _ = make_samples(signal, 4000, seed=1, width=78)
    gates = fit_gates() | {"logistic": fit_logistic(train, train)}
    return hashlib.sha256(save(all_tensors(gates))).hexdigest()


@pytest.fixture(scope="module")
def gates() -> dict[GateName, GateModel]:
    return fit_gates()


@pytest.fixture
def tensors(gates: dict[GateName, GateModel]) -> dict[str, torch.Tensor]:
    return all_tensors(gates)


def columns(gate: GateModel, inputs: np.ndarray) -> tuple[bytes, ...]:
    found = gate.predict(inputs)
    parts = (found.probabilities, found.mean, found.noise, found.error, found.mutual_information)
    return tuple(np.ascontiguousarray(part).tobytes() for part in parts)


@pytest.mark.parametrize("name", NAMES)
def test_rows_alone_and_together_are_the_same_bytes(
    gates: dict[GateName, GateModel], name: GateName
):
    inputs = np.random.default_rng(7).normal(size=(1500, WIDTH))
    together = columns(gates[name], inputs)
    for rows in (1, 2, 7, 250):
        parts = [columns(gates[name], inputs[i : i + rows]) for i in range(0, 1500, rows)]
        assert tuple(b"".join(part) for part in zip(*parts, strict=True)) == together
    assert columns(gates[name], np.asfortranarray(inputs)) == together


@pytest.mark.parametrize("name", NAMES)
def test_probabilities_and_deviations_are_such(gates: dict[GateName, GateModel], name: GateName):
    found = gates[name].predict(3.0 * np.random.default_rng(7).normal(size=(200, WIDTH)))
    np.testing.assert_allclose(found.probabilities.sum(axis=1), 1.0)
    assert (found.probabilities > 0).all()
    assert (found.noise > 0).all()
    assert (found.error > 0).all()
    assert len(gates[name].predict(np.empty((0, WIDTH)))) == 0


@pytest.mark.parametrize("name", NAMES)
def test_stored_tensors_bring_a_gate_back(
    gates: dict[GateName, GateModel], tensors: dict[str, torch.Tensor], name: GateName
):
    assert all(key.startswith(f"{name}.") for key in gates[name].tensors())
    again = restore_gate(name, load(save(tensors)), WIDTH)
    assert again.name == name
    inputs = np.random.default_rng(8).normal(size=(50, WIDTH))
    assert columns(again, inputs) == columns(gates[name], inputs)
    assert save(again.tensors()) == save(gates[name].tensors())


def test_a_boosting_gate_without_a_tree_is_brought_back():
    train, _ = make_samples(signal, 20, seed=1, width=WIDTH)
    against = replace(train, classes=2 - train.classes, scaled_returns=-train.scaled_returns)
    bare = fit_boosting(train, against, 5, 0)
    assert not len(bare.classes.feature)
    again = restore_gate("boosting", load(save(bare.tensors())), WIDTH)
    assert columns(again, train.inputs) == columns(bare, train.inputs)


def test_fitting_leaves_the_threads_of_the_caller_as_they_were():
    before = [(pool["filepath"], pool["num_threads"]) for pool in threadpool_info()]
    fit_gates()
    after = [(pool["filepath"], pool["num_threads"]) for pool in threadpool_info()]
    assert after == before


def test_equal_rows_give_equal_bytes_whatever_the_threads():
    program = f"from {__name__} import digest; print(digest())"
    found = [
        subprocess.run(
            [sys.executable, "-W", "error", "-c", program],
            env={**os.environ, "OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for threads in ("1", "2")
    ]
    assert len(found[0]) == 64
    assert found[0] == found[1]


@pytest.mark.parametrize("name", ["logistic", "boosting"])
def test_other_inputs_than_a_gate_was_fitted_on_are_refused(
    gates: dict[GateName, GateModel], name: GateName
):
    for shape in ((3, WIDTH - 1), (3, WIDTH + 1), (WIDTH,)):
        with pytest.raises(DataError, match=rf"gate model {name} had shape .*\(rows, {WIDTH}\)"):
            gates[name].predict(np.zeros(shape))


@pytest.mark.parametrize(
    ("name", "tensor", "value", "sentence"),
    [
        ("prior", "shares", None, "differ from the gate model prior in prior.shares"),
        ("prior", "stranger", torch.zeros(1), "differ from the gate model prior in prior.strange"),
        (
            "prior",
            "shares",
            torch.zeros(4, dtype=torch.float64),
            r"float64 \(4\); .* float64 \(3\)",
        ),
        (
            "prior",
            "shares",
            torch.full((3,), -1.0).double(),
            "shares was -1.0; expected at least 0",
        ),
        ("prior", "noise", torch.tensor(np.nan, dtype=torch.float64), "noise holds nan or inf"),
        ("prior", "mean", torch.tensor(np.inf, dtype=torch.float64), "mean holds nan or inf"),
        ("logistic", "class_weight", None, "in logistic.class_weight"),
        ("logistic", "class_weight", torch.zeros(3, 5).double(), r"\(3, 5\); expected .*\(3, 20\)"),
        ("logistic", "class_bias", torch.zeros(3), r"was float32 \(3\); expected float64 \(3\)"),
        ("logistic", "error_factor", torch.zeros(20).double(), r"expected float64 \(20, 20\)"),
        ("logistic", "error_factor", torch.full((20, 20), np.nan).double(), "holds nan"),
        ("logistic", "noise", torch.tensor(-0.5).double(), "noise was -0.5; expected at least 0"),
        ("boosting", "mean.value", None, "in boosting.mean.value"),
        ("boosting", "other.value", torch.zeros(3), "in boosting.other.value"),
        ("boosting", "least_error", torch.tensor(-1.0).double(), "least_error was -1.0"),
        ("boosting", "classes.baseline", torch.zeros(2).double(), r"expected float64 \(3\)"),
        ("boosting", "mean.left", torch.zeros(3), r"was float32 \(3\); expected int32 \(any\)"),
    ],
)
def test_damaged_tensors_are_refused(
    tensors: dict[str, torch.Tensor],
    name: GateName,
    tensor: str,
    value: torch.Tensor | None,
    sentence: str,
):
    tensors.pop(f"{name}.{tensor}", None)
    if value is not None:
        tensors[f"{name}.{tensor}"] = value
    with pytest.raises(DataError, match=sentence) as refused:
        restore_gate(name, tensors, WIDTH)
    assert "train the forecaster again" in str(refused.value)


@pytest.mark.parametrize(
    ("name", "place", "change", "sentence"),
    [
        ("left", "inner", lambda nodes, at: 10**6, "left leads out of its tree"),
        ("right", "inner", lambda nodes, at: at, "right leads out of its tree"),
        ("right", "inner", lambda nodes, at: -5, "right leads out of its tree"),
        ("left", "last", lambda nodes, at: nodes, "left leads out of its tree"),
        ("feature", "inner", lambda nodes, at: WIDTH, "feature lies outside of 20 inputs"),
        ("feature", "inner", lambda nodes, at: -2, "feature lies outside of 20 inputs"),
        ("roots", "first", lambda nodes, at: 1, "roots are not those of trees"),
        ("roots", "second", lambda nodes, at: 0, "roots are not those of trees"),
        ("roots", "end", lambda nodes, at: nodes, "roots are not those of trees"),
        ("value", "nan", lambda nodes, at: np.nan, "holds nan or infinity"),
        ("threshold", "nan", lambda nodes, at: np.inf, "holds nan or infinity"),
    ],
)
@pytest.mark.parametrize("part", ["classes", "mean", "members"])
def test_trees_that_lead_nowhere_are_refused(
    tensors: dict[str, torch.Tensor], part: str, name: str, place: str, change: Any, sentence: str
):
    prefix = f"boosting.{part}"
    feature = tensors[f"{prefix}.feature"]
    inner = torch.nonzero(feature >= 0)[:, 0]
    at = {"inner": inner[0], "last": inner[-1], "first": 0, "second": 1, "end": -1, "nan": 0}[place]
    damaged = tensors[f"{prefix}.{name}"].clone()
    damaged[at] = change(len(feature), int(at))
    with pytest.raises(DataError, match=f"{prefix}.*{sentence}"):
        restore_gate("boosting", {**tensors, f"{prefix}.{name}": damaged}, WIDTH)


def test_a_tree_that_leads_into_the_next_one_is_refused(tensors: dict[str, torch.Tensor]):
    second = tensors["boosting.mean.roots"][1]
    for side in ("left", "right"):
        damaged = tensors[f"boosting.mean.{side}"].clone()
        damaged[0] = second
        with pytest.raises(DataError, match=f"boosting.mean: {side} leads out of its tree"):
            restore_gate("boosting", {**tensors, f"boosting.mean.{side}": damaged}, WIDTH)


@pytest.mark.parametrize("name", ["threshold", "missing_left", "left", "right", "value"])
def test_trees_of_lists_of_different_lengths_are_refused(
    tensors: dict[str, torch.Tensor], name: str
):
    tensors[f"boosting.mean.{name}"] = tensors[f"boosting.mean.{name}"][:-1].clone()
    with pytest.raises(DataError, match=f"boosting.mean: {name} had .* nodes; expected trees"):
        restore_gate("boosting", tensors, WIDTH)


def test_a_round_that_lacks_a_tree_is_refused(tensors: dict[str, torch.Tensor]):
    last = int(tensors["boosting.classes.roots"][-1])
    for name in ("feature", "threshold", "missing_left", "left", "right", "value"):
        key = f"boosting.classes.{name}"
        tensors[key] = tensors[key][:last].clone()
    tensors["boosting.classes.roots"] = tensors["boosting.classes.roots"][:-1].clone()
    with pytest.raises(DataError, match="trees of 3 columns"):
        restore_gate("boosting", tensors, WIDTH)
