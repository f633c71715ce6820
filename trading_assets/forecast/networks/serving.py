"""Trained networks as they serve: one ONNX Runtime session on one thread, on any machine alike."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray

from trading_assets.forecast.dataset import Rows, gather_windows
from trading_assets.forecast.networks.ensemble import MemberOutputs, combine_members, join_members
from trading_assets.forecast.networks.export import INPUT, OUTPUTS, export_ensemble
from trading_assets.forecast.networks.fit import dropout_mask
from trading_assets.forecast.networks.network import ForecastNetwork
from trading_assets.forecast.predictions import Predictions
from trading_assets.forecast_specs import NetworkSizes

Windows = NDArray[np.float32]

_BATCH_ROWS = 512
# Warnings of ONNX Runtime tell of the machine, such as of a GPU that it has not.
_ERRORS_ONLY = 3


class NetworkEnsemble:
    """Members that serve together; predicts rows of a panel.

    An ensemble of one is read once for each of its dropout masks, so that its error is told.

    Parameters
    ----------
    networks : sequence of ForecastNetwork
        Trained members.
    window_bars : int
        Bars of a window.
    masks : sequence of float32 (dense_units,)
        Dropout masks of an ensemble of one; empty for more members.
    """

    def __init__(
        self, networks: Sequence[ForecastNetwork], window_bars: int, masks: Sequence[Windows]
    ) -> None:
        self.networks = tuple(networks)
        self.window_bars = window_bars
        self.masks = tuple(masks)
        self._session: Any = None

    def predict(self, inputs: torch.Tensor, rows: Rows) -> Predictions:
        """Return the predictions of rows; their bytes may depend on which rows are asked together.

        Parameters
        ----------
        inputs : float32 (N, I, T)
            Model inputs of a panel.
        rows : Rows
            Where windows end.
        """
        return combine_members(self.outputs(inputs, rows))

    def outputs(self, inputs: torch.Tensor, rows: Rows) -> MemberOutputs:
        """Return what each member says of rows, see `predict`."""
        parts = [
            self.run(gather_windows(inputs, _part(rows, first), self.window_bars).numpy())
            for first in range(0, len(rows), _BATCH_ROWS)
        ]
        if not parts:
            members = max(1, len(self.masks)) * len(self.networks)
            empty = np.zeros((members, 0), np.float32)
            parts = [MemberOutputs(np.zeros((members, 0, 3), np.float32), empty, empty)]
        return join_members(parts)

    def run(self, windows: Windows) -> MemberOutputs:
        """Return what members say of windows float32 (n, I, window_bars)."""
        if self._session is None:
            self._session = _open_session(self.to_onnx())
        return MemberOutputs(*self._session.run(list(OUTPUTS), {INPUT: windows}))

    def to_onnx(self) -> bytes:
        """Return the ensemble as an ONNX model."""
        return export_ensemble(self.networks, self.window_bars, self.masks)

    def tensors(self) -> dict[str, torch.Tensor]:
        """Return every array by its name in `weights.safetensors`."""
        named = {
            f"network.{member}.{name}": value.contiguous()
            for member, network in enumerate(self.networks)
            for name, value in network.state_dict().items()
        }
        if self.masks:
            named["network.masks"] = torch.from_numpy(np.stack(self.masks))
        return named


def draw_masks(sizes: NetworkSizes, share: float, passes: int, seed: int) -> list[Windows]:
    """Return dropout masks float32 (dense_units,), one a pass, always the same for a seed."""
    generator = np.random.default_rng([seed, passes])
    return [dropout_mask((sizes.dense_units,), share, generator).numpy() for _ in range(passes)]


def ensemble_shapes(
    sizes: NetworkSizes, width: int, members: int, passes: int
) -> dict[str, tuple[int, ...]]:
    """Return the shape of each tensor of an ensemble of so many members or dropout passes."""
    with torch.device("meta"):
        network = ForecastNetwork(width, 0, sizes)
    shapes = {
        f"network.{member}.{name}": tuple(value.shape)
        for member in range(members)
        for name, value in network.state_dict().items()
    }
    return shapes | ({"network.masks": (passes, sizes.dense_units)} if passes else {})


def restore_ensemble(
    tensors: Mapping[str, torch.Tensor], sizes: NetworkSizes, window_bars: int, members: int
) -> NetworkEnsemble:
    """Return the ensemble of tensors whose names and shapes are those of `ensemble_shapes`."""
    networks: list[ForecastNetwork] = []
    for member in range(members):
        prefix = f"network.{member}."
        own = {n.removeprefix(prefix): v for n, v in tensors.items() if n.startswith(prefix)}
        with torch.device("meta"):
            network = ForecastNetwork(own["first.weight"].shape[1], 0, sizes)
        # Weights that are only shapes take the place of none that were drawn.
        network.load_state_dict(own, assign=True)
        networks.append(network.eval())
    masks = tensors.get("network.masks")
    return NetworkEnsemble(networks, window_bars, [] if masks is None else list(masks.numpy()))


def _part(rows: Rows, first: int) -> Rows:
    part = slice(first, first + _BATCH_ROWS)
    return Rows(rows.symbol[part], rows.session[part])


def _open_session(model: bytes) -> Any:  # noqa: ANN401  a class without types
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = _ERRORS_ONLY
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
