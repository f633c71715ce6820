"""Attention of one query a window over its normalised states, forward and backward.

With one query, keys and values need not be computed for every bar: a head's score of a bar is the
bar's state times one vector, `W_k q`, and its answer is `W_v` times the weighted mean of states.
"""

import numpy as np
from numpy.typing import NDArray

from trading_assets.compiling import reordering_entry_point

Tensor = NDArray[np.float32]


@reordering_entry_point
def run_pooling(states: Tensor, queries: Tensor, weights: Tensor, pooled: Tensor) -> None:
    """Write each head's weights of the bars and their weighted mean of states.

    Parameters
    ----------
    states : float32 (S, T, L, U)
        Normalised states.
    queries : float32 (S, L, H, U)
        What scores are products with.
    weights : float32 (S, L, H, T)
        Written: softmax of the scores over the bars.
    pooled : float32 (S, L, H, U)
        Written.
    """
    n_strips, n_bars, length, units = states.shape
    heads = queries.shape[2]
    for strip in range(n_strips):
        for row in range(length):
            for head in range(heads):
                query, weight = queries[strip, row, head], weights[strip, row, head]
                largest = np.float32(-np.inf)
                for bar in range(n_bars):
                    score = np.float32(0.0)
                    for u in range(units):
                        score += states[strip, bar, row, u] * query[u]
                    weight[bar] = score
                    largest = max(largest, score)
                total = np.float32(0.0)
                for bar in range(n_bars):
                    weight[bar] = np.exp(weight[bar] - largest)
                    total += weight[bar]
                mean = pooled[strip, row, head]
                mean[:] = 0.0
                for bar in range(n_bars):
                    weight[bar] /= total
                    for u in range(units):
                        mean[u] += weight[bar] * states[strip, bar, row, u]


@reordering_entry_point
def reverse_pooling(
    gradient: Tensor,
    states: Tensor,
    queries: Tensor,
    weights: Tensor,
    states_gradient: Tensor,
    queries_gradient: Tensor,
) -> None:
    """Add the gradients of what `run_pooling` was given.

    Parameters
    ----------
    gradient : float32 (S, L, H, U)
        Of the pooled states.
    states, queries, weights : float32
        Of the forward run.
    states_gradient : float32 (S, T, L, U)
        Added to.
    queries_gradient : float32 (S, L, H, U)
        Added to.
    """
    n_strips, n_bars, length, units = states.shape
    heads = queries.shape[2]
    wanted = np.empty(n_bars, np.float32)
    for strip in range(n_strips):
        for row in range(length):
            for head in range(heads):
                of_mean, weight = gradient[strip, row, head], weights[strip, row, head]
                query, of_query = queries[strip, row, head], queries_gradient[strip, row, head]
                mean = np.float32(0.0)
                for bar in range(n_bars):
                    product = np.float32(0.0)
                    for u in range(units):
                        product += of_mean[u] * states[strip, bar, row, u]
                    wanted[bar] = product
                    mean += weight[bar] * product
                for bar in range(n_bars):
                    share = weight[bar]
                    of_score = share * (wanted[bar] - mean)
                    for u in range(units):
                        states_gradient[strip, bar, row, u] += (
                            share * of_mean[u] + of_score * query[u]
                        )
                        of_query[u] += of_score * states[strip, bar, row, u]
