import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import polars as pl
import pytest
import torch
from safetensors.torch import load, save

from trading_assets.errors import DataError
from trading_assets.forecast.forecaster import CARD_FILE, WEIGHTS_FILE, Forecaster
from trading_assets.forecast.predictions import CANDIDATES, CandidateName
from trading_assets_tests.forecast.planted_market import NAMES, PlantedMarket, make_market, train

Tensors = dict[str, torch.Tensor]
Card = dict[str, Any]


@pytest.fixture(scope="module")
def market() -> PlantedMarket:
    return make_market(0.6, count=400)


@pytest.fixture(scope="module")
def forecasters(market: PlantedMarket) -> dict[str, Forecaster]:
    trained = {name: train(market, [name], epochs=1) for name in CANDIDATES}
    alone = train(market, ["network"], epochs=1, members=1, dropout_passes=4)
    return {**trained, "alone": alone}


def tampered(forecaster: Forecaster, change: Callable[[Tensors, Card], object]) -> dict[str, bytes]:
    """Return the files after a change whose hash the card confirms."""
    files = forecaster.to_files()
    tensors, card = load(files[WEIGHTS_FILE]), json.loads(files[CARD_FILE])
    change(tensors, card)
    weights = save(tensors)
    card["weights_sha256"] = hashlib.sha256(weights).hexdigest()
    return {WEIGHTS_FILE: weights, CARD_FILE: json.dumps(card).encode()}


@pytest.mark.parametrize("kind", [*CANDIDATES, "alone"])
def test_files_round_trip(forecasters: dict[str, Forecaster], market: PlantedMarket, kind: str):
    forecaster = forecasters[kind]
    files = forecaster.to_files()
    loaded = Forecaster.from_files(files)
    assert loaded.to_files() == files
    assert loaded.training is None
    one, same = (each.forecast(market.tables(), market.test) for each in (forecaster, loaded))
    assert same.rows.equals(one.rows)
    assert same.state == one.state


@pytest.mark.parametrize("kind", [*CANDIDATES, "alone"])
def test_only_the_served_model_is_stored(forecasters: dict[str, Forecaster], kind: str):
    tensors = load(forecasters[kind].to_files()[WEIGHTS_FILE])
    served = {name.split(".")[0] for name in tensors}
    assert served == {"inputs", "network" if kind == "alone" else kind}
    members = {name.split(".")[1] for name in tensors if name.startswith("network")}
    expected = {"network": {"0", "1"}, "alone": {"0", "masks"}}
    assert members == expected.get(kind, set())


@pytest.mark.parametrize("kind", [*CANDIDATES, "alone"])
@pytest.mark.parametrize("damage", ["nan", "infinity", "shape", "type", "missing", "further"])
def test_damaged_tensors_of_the_served_model_are_refused(
    forecasters: dict[str, Forecaster], kind: str, damage: str
):
    forecaster = forecasters[kind]
    served = forecaster.served
    stored = load(forecaster.to_files()[WEIGHTS_FILE])
    names = [name for name in stored if served in name and stored[name].is_floating_point()]
    for target in (names[0], names[-1]):

        def change(tensors: Tensors, _: Card, target: str = target) -> None:
            if damage == "nan":
                tensors[target] = torch.full_like(tensors[target], float("nan"))
            elif damage == "infinity":
                tensors[target] = torch.full_like(tensors[target], -float("inf"))
            elif damage == "shape":
                tensors[target] = torch.zeros((3, 1, 4, 1, 5), dtype=tensors[target].dtype)
            elif damage == "type":
                tensors[target] = tensors[target].to(torch.float16)
            elif damage == "missing":
                del tensors[target]
            else:
                tensors[f"{served}.further"] = torch.zeros(2)

        with pytest.raises(DataError, match=r"forecaster weight.* (again|fit)"):
            Forecaster.from_files(tampered(forecaster, change))


def test_nan_in_a_stored_network_is_refused_by_name(forecasters: dict[str, Forecaster]):
    def change(tensors: Tensors, _: Card) -> None:
        tensors["network.1.dense.bias"][0] = float("nan")

    with pytest.raises(DataError, match=r"network\.1\.dense\.bias holds nan or infinity"):
        Forecaster.from_files(tampered(forecasters["network"], change))


def test_weights_of_another_type_are_refused(forecasters: dict[str, Forecaster]):
    def change(tensors: Tensors, _: Card) -> None:
        tensors["network.0.dense.bias"] = tensors["network.0.dense.bias"].double()

    with pytest.raises(DataError, match=r"had shape \(24,\) of torch.float64; expected \(24,\) of"):
        Forecaster.from_files(tampered(forecasters["network"], change))


@pytest.mark.parametrize("kind", ["logistic", "boosting", "prior"])
def test_a_gate_stored_with_tensors_of_another_model_is_refused(
    forecasters: dict[str, Forecaster], kind: str
):
    for other in CANDIDATES:
        if other == kind:
            continue
        foreign = load(forecasters[other].to_files()[WEIGHTS_FILE])
        own = {name: value for name, value in foreign.items() if other in name}

        def change(tensors: Tensors, _: Card, own: Tensors = own) -> None:
            tensors.update(own)

        with pytest.raises(DataError, match=f"differ from the card's architecture in {other}"):
            Forecaster.from_files(tampered(forecasters[kind], change))


@pytest.mark.parametrize("kind", CANDIDATES)
@pytest.mark.parametrize("named", CANDIDATES)
def test_a_card_that_names_another_model_than_is_stored_is_refused(
    forecasters: dict[str, Forecaster], kind: CandidateName, named: CandidateName
):
    def change(_: Tensors, card: Card) -> None:
        card["served"] = named
        card["metrics"]["candidates"][named] = card["metrics"]["candidates"][kind]

    files = tampered(forecasters[kind], change)
    if named == kind:
        assert Forecaster.from_files(files).served == kind
        return
    with pytest.raises(
        DataError, match=rf"differ from the card's architecture in .*({kind}|{named})\."
    ):
        Forecaster.from_files(files)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"feature_names": NAMES[::-1]}, "features_sha256 does not fit"),
        ({"horizon_bars": 0}, "horizon_bars is wrong"),
        ({"code_version": "0"}, "code_version was 0"),
        ({"served": "oracle"}, "served is wrong"),
        ({"served": "prior"}, "served was prior, of which metrics.candidates tells nothing"),
        ({"further": 1}, "further is wrong"),
        ({"conformal": {}}, r"conformal\.rule is wrong"),
        ({"class_rule": {"kind": "terciles", "lower": 1.0, "upper": 0.0}}, "class_rule"),
    ],
)
def test_a_damaged_card_is_refused(forecasters: dict[str, Forecaster], change: Card, sentence: str):
    files = tampered(forecasters["logistic"], lambda _, card: card.update(change))
    with pytest.raises(DataError, match=sentence):
        Forecaster.from_files(files)


def test_a_card_with_another_number_of_members_is_refused(forecasters: dict[str, Forecaster]):
    def change(_: Tensors, card: Card) -> None:
        card["architecture"]["members"] = 3

    with pytest.raises(DataError, match=r"differ from the card's architecture in network\.2\."):
        Forecaster.from_files(tampered(forecasters["network"], change))


def test_weights_that_are_not_the_cards_are_refused(forecasters: dict[str, Forecaster]):
    files = forecasters["logistic"].to_files()
    other = forecasters["prior"].to_files()[WEIGHTS_FILE]
    with pytest.raises(DataError, match="have sha256"):
        Forecaster.from_files({**files, WEIGHTS_FILE: other})


def test_torn_weights_are_refused(forecasters: dict[str, Forecaster]):
    files = forecasters["logistic"].to_files()
    torn = files[WEIGHTS_FILE][:-9]
    card = json.loads(files[CARD_FILE]) | {"weights_sha256": hashlib.sha256(torn).hexdigest()}
    with pytest.raises(DataError, match="cannot be read"):
        Forecaster.from_files({WEIGHTS_FILE: torn, CARD_FILE: json.dumps(card).encode()})


def test_a_missing_file_is_refused(forecasters: dict[str, Forecaster]):
    files = forecasters["logistic"].to_files()
    with pytest.raises(DataError, match=r"lacks card.json"):
        Forecaster.from_files({WEIGHTS_FILE: files[WEIGHTS_FILE]})
    with pytest.raises(DataError, match=r"lacks weights.safetensors"):
        Forecaster.from_files({CARD_FILE: files[CARD_FILE]})


def test_the_card_is_canonical_json(forecasters: dict[str, Forecaster]):
    text = forecasters["network"].to_files()[CARD_FILE]
    assert json.dumps(json.loads(text), sort_keys=True, indent=1).encode() + b"\n" == text


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (NAMES[:-1], "the strategy lacks noise_3; expected the 4 features"),
        ((*NAMES, "rsi_14"), "has rsi_14 besides"),
        (("rsi_14", *NAMES[1:]), "lacks planted and has rsi_14 besides"),
        (NAMES[::-1], "lists its features in another order"),
    ],
)
def test_a_strategy_with_other_features_is_refused_by_name(
    forecasters: dict[str, Forecaster], names: tuple[str, ...], sentence: str
):
    forecaster = forecasters["prior"]
    forecaster.require_declared(NAMES, forecaster.spec)
    with pytest.raises(DataError, match=sentence):
        forecaster.require_declared(names, forecaster.spec)


@pytest.mark.parametrize(
    ("field", "value"),
    [("horizon_bars", 6), ("labels", "triple_barrier"), ("window_bars", 12), ("members", 7)],
)
def test_a_card_of_another_declaration_is_refused(
    forecasters: dict[str, Forecaster], field: str, value: object
):
    forecaster = forecasters["prior"]
    changed = forecaster.spec.model_copy(update={field: value})
    own = getattr(forecaster.spec, field)
    with pytest.raises(
        DataError, match=rf"forecast.{field} was {value}; expected {own}, .* train it again"
    ):
        forecaster.require_declared(NAMES, changed)


def test_a_launch_may_ask_for_other_epochs(forecasters: dict[str, Forecaster]):
    forecaster = forecasters["prior"]
    changed = forecaster.spec.model_copy(update={"epochs": 99})
    forecaster.require_declared(NAMES, changed)


def test_the_datas_hash_covers_the_first_bars_of_the_first_window(market: PlantedMarket):
    first = market.features["session"].min()
    value = pl.when(pl.col("session") == first).then(pl.col("noise_1") + 1).otherwise("noise_1")
    changed = replace(market, features=market.features.with_columns(value.alias("noise_1")))
    own, other = (train(each, ["prior"]).card["data_sha256"] for each in (market, changed))
    assert own == train(market, ["prior"]).card["data_sha256"]
    assert own != other
