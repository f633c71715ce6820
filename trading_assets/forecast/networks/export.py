"""The network as an ONNX graph: what serves it, and what is given to other programs."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from trading_assets.forecast.networks.network import LOG_VARIANCE_LIMIT, ForecastNetwork

Tensor = NDArray[np.float32]

OPSET, IR_VERSION = 17, 9
# Channels that the widest processors take at once.
_VECTOR_CHANNELS = 16
INPUT, OUTPUTS = "windows", ("logits", "mean", "log_variance")


class _Graph:
    """Nodes and weights of a graph as it grows; each node gets a name of its own."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []

    def weight(self, value: NDArray[np.generic]) -> str:
        """Add an array and return its name."""
        name = f"weight_{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.asarray(value, order="C"), name))
        return name

    def shape(self, *sizes: int) -> str:
        """Add a shape and return its name."""
        return self.weight(np.array(sizes, np.int64))

    def node(self, kind: str, *inputs: str, **attributes: Any) -> str:  # noqa: ANN401  ints and floats
        """Add a node and return the name of its first output."""
        name = f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def linear(self, value: str, weight: Tensor, bias: Tensor) -> str:
        """Add `value @ weight.T + bias`."""
        product = self.node("MatMul", value, self.weight(weight.T))
        return self.node("Add", product, self.weight(bias))


def export_ensemble(
    networks: Sequence[ForecastNetwork], window_bars: int, passes: Sequence[Tensor] = ()
) -> bytes:
    """Return the networks as one ONNX model.

    Parameters
    ----------
    networks : sequence of ForecastNetwork
        Members.
    window_bars : int
        Bars of a window.
    passes : sequence of float32 (dense_units,), optional
        Dropout masks; each member is then read once for each of them.

    Returns
    -------
    bytes
        Input `windows` float32 (n, I, window_bars); outputs `logits` (M, n, 3), `mean` (M, n) and
        `log_variance` (M, n), M members, or members times passes.
    """
    graph = _Graph()
    arrays = [_arrays(network) for network in networks]
    convolved = _convolve(graph, arrays)
    read = [
        _read(graph, own, _encode(graph, own, network, bars), passes)
        for own, network, bars in zip(arrays, networks, convolved, strict=True)
    ]
    outputs: list[onnx.ValueInfoProto] = []
    members = len(networks) * max(1, len(passes))
    for place, name in enumerate(OUTPUTS):
        parts = [each[place] for each in read]
        graph.nodes.append(helper.make_node("Concat", parts, [name], axis=0))
        shape = [members, "n", 3] if name == "logits" else [members, "n"]
        outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
    width = networks[0].first.in_channels
    windows = helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["n", width, window_bars])
    made = helper.make_graph(graph.nodes, "forecaster", [windows], outputs, graph.weights)
    model = helper.make_model(
        made, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION
    )
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString()


def _arrays(network: ForecastNetwork) -> dict[str, Tensor]:
    return {name: value.detach().numpy() for name, value in network.state_dict().items()}


def _convolve(graph: _Graph, arrays: Sequence[dict[str, Tensor]]) -> list[str]:
    """Add the convolutions of all members at once; return each member's bars (T, n, C).

    As images of one row, with channels by whole vectors, since the runtime has its fast kernels
    for those only: half the time of a convolution for each member.
    """
    kernel, bias = _stacked(arrays, "first")
    padding = -kernel.shape[1] % _VECTOR_CHANNELS
    value = graph.node("Pad", INPUT, graph.shape(0, 0, 0, 0, padding, 0))
    value = graph.node("Unsqueeze", value, graph.shape(2))
    kernel = np.pad(kernel, ((0, 0), (0, padding), (0, 0)))
    for layer, group in (((kernel, bias), 1), (_stacked(arrays, "second"), len(arrays))):
        weights = graph.weight(layer[0][:, :, None]), graph.weight(layer[1])
        value = graph.node("Relu", graph.node("Conv", value, *weights, group=group))
    value = graph.node("Transpose", graph.node("Squeeze", value, graph.shape(2)), perm=[2, 0, 1])
    if len(arrays) == 1:
        return [value]
    bars = [f"bars_{member}" for member in range(len(arrays))]
    graph.nodes.append(helper.make_node("Split", [value], bars, axis=2))
    return bars


def _stacked(arrays: Sequence[dict[str, Tensor]], layer: str) -> tuple[Tensor, Tensor]:
    kernels, biases = (
        np.concatenate([own[f"{layer}.{part}"] for own in arrays]) for part in ("weight", "bias")
    )
    return kernels, biases


def _encode(graph: _Graph, arrays: dict[str, Tensor], network: ForecastNetwork, bars: str) -> str:
    states = _recur(graph, arrays, bars)
    states = graph.node(
        "LayerNormalization",
        graph.node("Transpose", states, perm=[1, 0, 2]),
        graph.weight(arrays["state_norm.weight"]),
        graph.weight(arrays["state_norm.bias"]),
        epsilon=network.state_norm.eps,
    )
    last = graph.node("Gather", states, graph.weight(np.array(-1, np.int64)), axis=1)
    attended = _attend(graph, arrays, network.sizes.attention_heads, (states, last))
    normed = graph.node(
        "LayerNormalization",
        graph.node("Add", last, attended),
        graph.weight(arrays["norm.weight"]),
        graph.weight(arrays["norm.bias"]),
        epsilon=network.norm.eps,
    )
    return graph.node("Relu", graph.linear(normed, arrays["dense.weight"], arrays["dense.bias"]))


def _recur(graph: _Graph, arrays: dict[str, Tensor], bars: str) -> str:
    """Add the LSTM over bars (T, n, C); return its states (T, n, U)."""
    units = arrays["lstm.weight_hh_l0"].shape[1]
    # The standard has the gates input, output, forget, candidate; torch input, forget, candidate,
    # output.
    order = np.arange(4 * units).reshape(4, units)[[0, 3, 1, 2]].ravel()
    biases = [arrays[f"lstm.bias_{part}_l0"][order] for part in ("ih", "hh")]
    given = [
        graph.weight(arrays["lstm.weight_ih_l0"][order][None]),
        graph.weight(arrays["lstm.weight_hh_l0"][order][None]),
        graph.weight(np.concatenate(biases)[None]),
    ]
    states = graph.node("LSTM", bars, *given, hidden_size=units)
    return graph.node("Squeeze", states, graph.shape(1))


def _attend(
    graph: _Graph, arrays: dict[str, Tensor], heads: int, states_and_last: tuple[str, str]
) -> str:
    """Add what the last bar attends to, (n, U).

    A head's two matrices before the scores are one product, as are its two behind them: a few
    units at a time are slow to multiply.
    """
    states, last = states_and_last
    units = arrays["attention.in_proj_weight"].shape[1]
    size = units // heads
    by_query, by_key, by_value = arrays["attention.in_proj_weight"].reshape(3, heads, size, units)
    bias = arrays["attention.in_proj_bias"].reshape(3, units)
    out, out_bias = (arrays[f"attention.out_proj.{part}"] for part in ("weight", "bias"))
    scaled = by_key * np.float32(size**-0.5)
    asking = np.einsum("hku,hkv->hvu", by_query, scaled).reshape(-1, units)
    # The bias of keys adds the same to every score and changes nothing.
    asked = np.einsum("hk,hkv->hv", bias[0].reshape(heads, size), scaled).ravel()
    queries = graph.linear(last, asking, asked)
    queries = graph.node("Reshape", queries, graph.shape(-1, heads, units))
    turned = graph.node("Transpose", states, perm=[0, 2, 1])
    weights = graph.node("Softmax", graph.node("MatMul", queries, turned), axis=-1)
    pooled = graph.node("MatMul", weights, states)
    pooled = graph.node("Reshape", pooled, graph.shape(-1, heads * units))
    shares = by_value, out.reshape(units, heads, size)
    answering = np.einsum("hkv,ohk->ohv", *shares).reshape(units, -1)
    return graph.linear(pooled, answering, out @ bias[2] + out_bias)


def _read(
    graph: _Graph, arrays: dict[str, Tensor], encoded: str, passes: Sequence[Tensor]
) -> tuple[str, str, str]:
    """Add the heads; return logits (m, n, 3), means (m, n) and log variances (m, n)."""
    if passes:
        masks = np.stack(passes)[:, None, :]
        encoded = graph.node("Mul", encoded, graph.weight(masks))
    else:
        encoded = graph.node("Unsqueeze", encoded, graph.shape(0))
    logits = graph.linear(encoded, arrays["classes.weight"], arrays["classes.bias"])
    moments = [
        graph.node(
            "Squeeze",
            graph.linear(
                encoded,
                arrays["moments.weight"][place : place + 1],
                arrays["moments.bias"][place : place + 1],
            ),
            graph.shape(2),
        )
        for place in range(2)
    ]
    limit = np.float32(LOG_VARIANCE_LIMIT)
    bounds = (graph.weight(np.array(-limit)), graph.weight(np.array(limit)))
    return logits, moments[0], graph.node("Clip", moments[1], *bounds)
