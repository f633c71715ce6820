"""What is fitted on a model's train rows and applied to features at the border of its models.

Fitting is given the train rows and nothing else, and applying changes nothing that was fitted.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from trading_assets.errors import DataError, UserError
from trading_assets.forecast.card import InputsCard
from trading_assets.forecast.seeded_thread import one_seeded_thread
from trading_assets.strategy import ForecastSpec

Array = NDArray[np.float64]
Values = NDArray[np.float32]
Mask = NDArray[np.bool_]

# A component with less than this share of the first one's deviation is rounding, not variance.
_LEAST_DEVIATION = 1e-6


@dataclass(frozen=True, slots=True)
class PrincipalComponents:
    """Means float64 (C,) of the columns, and float64 (k, C) from them to scores of deviation 1."""

    centre: Array
    matrix: Array


@dataclass(frozen=True, slots=True)
class FoldTransforms:
    """From features to model inputs, as fitted on the train rows of one model.

    Attributes
    ----------
    names : tuple of str
        Columns of the values, (F,).
    is_known, is_masked : bool (F,)
        Columns with a value in some train row; those of them that are null in another one.
    centre, scale : float32 (C,)
        Mean and deviation of each of the C known columns, after the clip.
    clip : float32 (2, C) or None
        Lower and upper quantile of each known column; None where nothing is clipped.
    clip_quantile : float
        The lower quantile, 0 where nothing is clipped.
    components : PrincipalComponents or None
        None where the columns themselves are inputs.
    fractional_order : float or None
        Order d of the last column; None where there is no such column.
    """

    names: tuple[str, ...]
    is_known: Mask
    is_masked: Mask
    centre: Values
    scale: Values
    clip: Values | None
    clip_quantile: float
    components: PrincipalComponents | None
    fractional_order: float | None

    @classmethod
    def fit(
        cls,
        values: Values,
        names: Sequence[str],
        spec: ForecastSpec,
        fractional_order: float | None = None,
    ) -> "FoldTransforms":
        """Return the transforms of train rows.

        Parameters
        ----------
        values : float32 (n, F)
            Features of the train rows only, nan where null.
        names : sequence of str
            Their columns.
        spec : ForecastSpec
            Clip quantile and number of principal components.
        fractional_order : float, optional
            Order d of the last column, if that is a fractional difference.

        Raises
        ------
        DataError
            If every column is null in every row.
        UserError
            If more principal components are declared than there are known columns.
        """
        is_null = np.isnan(values)
        is_known: Mask = np.any(~is_null, axis=0)
        _require_columns(is_known, spec)
        known = values[:, is_known]
        clip = _fit_clip(known, spec.clip_quantile) if spec.clip_quantile > 0 else None
        if clip is not None:
            known = np.clip(known, clip[0], clip[1])
        centre, scale = _fit_scale(known)
        components = None
        if spec.principal_components:
            standard = np.nan_to_num((known - centre) / scale, nan=0.0)
            components = _fit_components(standard, spec.principal_components)
        return cls(
            names=tuple(names),
            is_known=is_known,
            is_masked=is_known & np.any(is_null, axis=0),
            centre=centre,
            scale=scale,
            clip=clip,
            clip_quantile=spec.clip_quantile,
            components=components,
            fractional_order=fractional_order,
        )

    @property
    def n_masks(self) -> int:
        """Mask inputs, which come last."""
        return int(self.is_masked.sum())

    @property
    def n_inputs(self) -> int:
        """Inputs of the models: columns or components, then masks."""
        return count_inputs(self.to_card())

    def apply(self, values: Values) -> torch.Tensor:
        """Return model inputs float32 (N, I, T) of features (N, F, T); null is 0, masks 1 if known.

        A session's inputs are the same bytes whatever other sessions are given.
        """
        inputs = self.standardise(values)
        if self.components is not None:
            inputs = _project(self.components, inputs)
        masks = ~np.isnan(values[:, self.is_masked])
        joined = np.concatenate((inputs, masks), axis=1)
        return torch.from_numpy(np.ascontiguousarray(joined, dtype=np.float32))

    def standardise(self, values: Values) -> Values:
        """Return the known columns (N, C, T) of features (N, F, T) in deviations; null is 0."""
        known = values[:, self.is_known]
        if self.clip is not None:
            known = np.clip(known, self.clip[0][:, None], self.clip[1][:, None])
        standard = (known - self.centre[:, None]) / self.scale[:, None]
        return np.nan_to_num(standard, nan=0.0)

    def mean_bar(self) -> Values:
        """Return the inputs (I,) of a bar on which each known column has its train mean."""
        values = np.full((1, len(self.is_known), 1), np.nan, np.float32)
        values[0, self.is_known, 0] = self.centre
        return self.apply(values)[0, :, 0].numpy()

    def to_card(self) -> InputsCard:
        """Return the scalars and names; the arrays are `tensors`."""
        return InputsCard(
            names=self.names,
            dropped=self._named(~self.is_known),
            masked=self._named(self.is_masked),
            clip_quantile=self.clip_quantile,
            principal_components=0 if self.components is None else len(self.components.matrix),
            fractional_order=self.fractional_order,
        )

    def tensors(self) -> dict[str, torch.Tensor]:
        """Return the arrays by their names in `weights.safetensors`."""
        arrays: dict[str, Values | Array] = {
            "inputs.centre": self.centre,
            "inputs.scale": self.scale,
        }
        if self.clip is not None:
            arrays["inputs.clip"] = self.clip
        if self.components is not None:
            arrays["inputs.components_centre"] = self.components.centre
            arrays["inputs.components"] = self.components.matrix
        return {name: torch.from_numpy(array) for name, array in arrays.items()}

    @classmethod
    def from_card(cls, card: InputsCard, tensors: Mapping[str, torch.Tensor]) -> "FoldTransforms":
        """Return the transforms of a card and of the tensors named in `input_shapes`."""
        arrays = {name: tensors[name].numpy() for name in input_shapes(card)}
        components = None
        if card.principal_components:
            components = PrincipalComponents(
                arrays["inputs.components_centre"], arrays["inputs.components"]
            )
        return cls(
            names=card.names,
            is_known=np.array([name not in card.dropped for name in card.names]),
            is_masked=np.array([name in card.masked for name in card.names]),
            centre=arrays["inputs.centre"],
            scale=arrays["inputs.scale"],
            clip=arrays.get("inputs.clip"),
            clip_quantile=card.clip_quantile,
            components=components,
            fractional_order=card.fractional_order,
        )

    def _named(self, is_meant: Mask) -> tuple[str, ...]:
        return tuple(name for name, holds in zip(self.names, is_meant, strict=True) if holds)


def count_inputs(card: InputsCard) -> int:
    """Return the model inputs of a card: known columns or components, and masks."""
    columns = len(card.names) - len(card.dropped)
    return (card.principal_components or columns) + len(card.masked)


def input_shapes(card: InputsCard) -> dict[str, tuple[int, ...]]:
    """Return the shape of each tensor that belongs to a card's inputs."""
    columns = len(card.names) - len(card.dropped)
    shapes: dict[str, tuple[int, ...]] = {
        "inputs.centre": (columns,),
        "inputs.scale": (columns,),
    }
    if card.clip_quantile > 0:
        shapes["inputs.clip"] = (2, columns)
    if card.principal_components:
        shapes["inputs.components_centre"] = (columns,)
        shapes["inputs.components"] = (card.principal_components, columns)
    return shapes


def _require_columns(is_known: Mask, spec: ForecastSpec) -> None:
    count = int(is_known.sum())
    if not count:
        msg = (
            f"all of {len(is_known)} features are null in every train row; expected one with"
            f" values: materialize features again, or declare a source that has them"
        )
        raise DataError(msg)
    if spec.principal_components > count:
        msg = (
            f"forecast.principal_components was {spec.principal_components}; expected at most"
            f" {count}, the inputs that are known in the train window: lower it, or name more"
            f" features"
        )
        raise UserError(msg)


def _fit_clip(known: Values, quantile: float) -> Values:
    bounds = [
        np.quantile(column[~np.isnan(column)], (quantile, 1.0 - quantile)) for column in known.T
    ]
    return np.ascontiguousarray(np.array(bounds).T, dtype=np.float32)


def _fit_scale(known: Values) -> tuple[Values, Values]:
    values = known.astype(np.float64)
    is_given = ~np.isnan(values)
    count = is_given.sum(axis=0)
    centre = np.where(is_given, values, 0.0).sum(axis=0) / count
    squares = np.where(is_given, values - centre, 0.0) ** 2
    scale = np.sqrt(squares.sum(axis=0) / count)
    # A constant column stays as it is.
    scale = np.where(scale > 1e-6 * np.maximum(1e-6, np.abs(centre)), scale, 1.0)
    return centre.astype(np.float32), scale.astype(np.float32)


def _fit_components(standard: Values, count: int) -> PrincipalComponents:
    values = standard.astype(np.float64)
    centre = values.mean(axis=0)
    # The last bits of a decomposition depend on how many threads share it.
    with one_seeded_thread(0):
        centred = torch.from_numpy(values - centre)
        parts = torch.linalg.svd(centred, full_matrices=False)
    singular, loadings = parts.S.numpy(), parts.Vh.numpy()
    if len(singular) < count:
        msg = (
            f"forecast.principal_components was {count}; expected at most {len(singular)}, the"
            f" train rows: lower it, or raise folds.train_months"
        )
        raise UserError(msg)
    loadings, deviations = loadings[:count], singular[:count] / np.sqrt(len(values))
    # The decomposition leaves each sign open; the largest loading is made positive.
    largest = np.abs(loadings).argmax(axis=1)
    signs = np.where(loadings[np.arange(count), largest] < 0, -1.0, 1.0)
    is_real = deviations > _LEAST_DEVIATION * singular[0] / np.sqrt(len(values))
    scale = np.divide(signs, deviations, out=np.zeros(count), where=is_real)
    return PrincipalComponents(centre, np.ascontiguousarray(loadings * scale[:, None]))


def _project(components: PrincipalComponents, standard: Values) -> Array:
    # Column by column: the last bits of a BLAS product depend on how many sessions are given.
    count, (n_symbols, _, n_sessions) = len(components.matrix), standard.shape
    scores = np.zeros((n_symbols, count, n_sessions))
    for column, centre in enumerate(components.centre):
        centred = standard[:, column].astype(np.float64) - centre
        scores += components.matrix[:, column, None] * centred[:, None]
    return scores
