import numpy as np
import pytest
from pydantic import ValidationError

from trading_assets.errors import DataError, UserError
from trading_assets.forecast.transforms import FoldTransforms, input_shapes
from trading_assets.strategy import ForecastSpec

NAMES = ("a", "b", "c", "d", "e")
PLAIN = ForecastSpec(clip_quantile=0.0)


def make_values(count: int = 400, seed: int = 0) -> np.ndarray:
    """Return correlated columns float32 (n, 5): c is null in a fifth of the rows, d in all."""
    rng = np.random.default_rng(seed)
    mixing = rng.normal(size=(5, 5))
    values = (rng.normal(size=(count, 5)) @ mixing + 3.0).astype(np.float32)
    values[::5, 2] = np.nan
    values[:, 3] = np.nan
    return values


def as_panel(values: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(values.T)[None]


def test_a_column_null_in_every_train_row_is_no_input_and_one_null_in_some_has_a_mask():
    values = make_values()
    transforms = FoldTransforms.fit(values, NAMES, PLAIN)
    card = transforms.to_card()
    assert card.dropped == ("d",)
    assert card.masked == ("c",)
    inputs = transforms.apply(as_panel(values))[0].numpy()
    assert inputs.shape == (transforms.n_inputs, 400) == (5, 400)
    is_known = ~np.isnan(values[:, 2])
    np.testing.assert_array_equal(inputs[4], is_known.astype(np.float32))
    assert (inputs[2][~is_known] == 0.0).all()
    assert (inputs[2][is_known] != 0.0).all()


def test_known_columns_have_mean_0_and_deviation_1_over_their_known_train_rows():
    values = make_values()
    inputs = FoldTransforms.fit(values, NAMES, PLAIN).apply(as_panel(values))[0].numpy()
    known = inputs[2][~np.isnan(values[:, 2])]
    for column in (inputs[0], inputs[1], known, inputs[3]):
        assert column.mean() == pytest.approx(0.0, abs=1e-5)
        assert column.std() == pytest.approx(1.0, abs=1e-5)


def test_a_value_that_was_dropped_in_training_moves_no_input_later():
    values = make_values()
    transforms = FoldTransforms.fit(values, NAMES, PLAIN)
    later = values.copy()
    later[:, 3] = 7.0
    np.testing.assert_array_equal(
        transforms.apply(as_panel(later)), transforms.apply(as_panel(values))
    )


def test_inputs_are_clipped_to_the_quantiles_of_the_train_rows():
    values = make_values()
    spec = ForecastSpec(clip_quantile=0.1)
    transforms = FoldTransforms.fit(values, NAMES, spec)
    known = values[~np.isnan(values[:, 2]), 2]
    low, high = np.quantile(known, (0.1, 0.9))
    assert transforms.clip is not None
    np.testing.assert_allclose(transforms.clip[:, 2], (low, high), rtol=1e-6)
    extreme = values[1:4].copy()
    extreme[:, 2] = (-1e6, 1e6, low)
    inputs = transforms.apply(as_panel(extreme))[0, 2].numpy()
    clipped = np.clip(known, low, high)
    expected = (np.array([low, high, low]) - clipped.mean()) / clipped.std()
    np.testing.assert_allclose(inputs, expected, rtol=1e-4)


def test_no_clip_leaves_an_extreme_value_as_it_is():
    values = make_values()
    extreme = values[:1].copy()
    extreme[:, 0] = 1e6
    off = FoldTransforms.fit(values, NAMES, PLAIN)
    assert off.clip is None
    assert off.apply(as_panel(extreme))[0, 0, 0] > 1e4


def test_components_are_those_of_numpy_with_deviation_1_and_their_largest_loading_positive():
    values = make_values()
    spec = ForecastSpec(clip_quantile=0.05, principal_components=2)
    transforms = FoldTransforms.fit(values, NAMES, spec)
    unprojected = FoldTransforms.fit(values, NAMES, ForecastSpec(clip_quantile=0.05))
    standard = unprojected.apply(as_panel(values))[0, :4].numpy().T.astype(np.float64)
    centred = standard - standard.mean(axis=0)
    variances, vectors = np.linalg.eigh(np.cov(centred.T, bias=True))
    for number in (0, 1):
        vector = vectors[:, -1 - number]
        vector = vector * np.sign(vector[np.abs(vector).argmax()])
        scores = centred @ vector / np.sqrt(variances[-1 - number])
        found = transforms.apply(as_panel(values))[0, number].numpy()
        np.testing.assert_allclose(found, scores, atol=2e-5)
    assert transforms.n_inputs == 3  # two components and the mask of c


def test_a_component_without_variance_is_0():
    values = make_values()
    values[:, 1] = values[:, 0]
    spec = ForecastSpec(clip_quantile=0.0, principal_components=4)
    inputs = FoldTransforms.fit(values, NAMES, spec).apply(as_panel(values))[0].numpy()
    assert (inputs[3] == 0.0).all()
    assert inputs[2].std() == pytest.approx(1.0, abs=1e-4)


def test_a_session_has_the_same_inputs_alone_and_in_a_range():
    values = make_values()
    spec = ForecastSpec(clip_quantile=0.01, principal_components=3)
    transforms = FoldTransforms.fit(values, NAMES, spec)
    together = transforms.apply(as_panel(values)).numpy()
    for row in (0, 17, 399):
        alone = transforms.apply(as_panel(values[row : row + 1])).numpy()
        assert alone.tobytes() == together[:, :, row : row + 1].tobytes()


def test_applying_learns_nothing():
    transforms = FoldTransforms.fit(
        make_values(), NAMES, ForecastSpec(clip_quantile=0.01, principal_components=3)
    )
    before = {name: value.numpy().tobytes() for name, value in transforms.tensors().items()}
    other = as_panel(make_values(seed=5) * 40.0)
    first = transforms.apply(other)
    transforms.apply(as_panel(make_values(seed=6)))
    assert transforms.apply(other).numpy().tobytes() == first.numpy().tobytes()
    after = {name: value.numpy().tobytes() for name, value in transforms.tensors().items()}
    assert after == before


@pytest.mark.parametrize("quantile", [0.0, 0.01])
@pytest.mark.parametrize("components", [0, 3])
def test_card_and_tensors_bring_the_transforms_back(quantile: float, components: int):
    values = make_values()
    spec = ForecastSpec(clip_quantile=quantile, principal_components=components)
    transforms = FoldTransforms.fit(values, NAMES, spec, 0.35)
    card, tensors = transforms.to_card(), transforms.tensors()
    assert {name: tuple(value.shape) for name, value in tensors.items()} == input_shapes(card)
    again = FoldTransforms.from_card(
        type(card).model_validate_json(card.model_dump_json()), tensors
    )
    assert again.to_card() == card
    assert again.fractional_order == 0.35
    panel = as_panel(make_values(seed=3))
    assert again.apply(panel).numpy().tobytes() == transforms.apply(panel).numpy().tobytes()


def test_more_components_than_known_columns_are_refused():
    spec = ForecastSpec(principal_components=5)
    with pytest.raises(
        UserError, match=r"principal_components was 5; expected at most 4, the inputs"
    ):
        FoldTransforms.fit(make_values(), NAMES, spec)


def test_more_components_than_train_rows_are_refused():
    spec = ForecastSpec(principal_components=4)
    with pytest.raises(UserError, match="expected at most 3, the train rows"):
        FoldTransforms.fit(make_values()[1:4], NAMES, spec)


def test_train_rows_without_any_value_are_refused():
    with pytest.raises(DataError, match="all of 5 features are null in every train row"):
        FoldTransforms.fit(np.full((9, 5), np.nan, np.float32), NAMES, PLAIN)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"clip_quantile": 0.5}, "less than 0.5"),
        ({"clip_quantile": -0.01}, "greater than or equal to 0"),
        ({"principal_components": -1}, "greater than or equal to 0"),
    ],
)
def test_options_out_of_their_bounds_are_refused(options: dict[str, float], sentence: str):
    with pytest.raises(ValidationError, match=sentence):
        ForecastSpec.model_validate(options)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"masked": ("d",)}, "dropped and masked held d"),
        ({"dropped": ("z",)}, "dropped and masked held z"),
        ({"principal_components": 5}, "principal_components was 5; expected at most 4, the names"),
    ],
)
def test_a_card_that_contradicts_itself_is_refused(change: dict[str, object], sentence: str):
    card = FoldTransforms.fit(make_values(), NAMES, PLAIN).to_card()
    with pytest.raises(ValidationError, match=sentence):
        type(card).model_validate({**card.model_dump(), **change})
