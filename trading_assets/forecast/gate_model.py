"""The gate model: multinomial logistic regression and ridge on the last bar's features.

A network that does not beat it on validation does not serve.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from trading_assets.forecast.calibration import class_probabilities, log_loss

Array = NDArray[np.float64]

# Standard deviations of the normal prior of each weight, chosen among on validation. One standard
# deviation of a feature moves a logit by about so much.
PRIOR_DEVIATIONS = (0.01, 0.03, 0.1, 0.3)


@dataclass(frozen=True, slots=True)
class GateModel:
    """Weights, float64: `class_weight` (3, I), `class_bias` (3,), `mean_weight` (I,), scalars."""

    class_weight: torch.Tensor
    class_bias: torch.Tensor
    mean_weight: torch.Tensor
    mean_bias: torch.Tensor
    log_variance: torch.Tensor

    def logits(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return class logits (n, 3) for inputs float64 (n, I)."""
        return inputs @ self.class_weight.T + self.class_bias

    def mean(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return the mean scaled return (n,) for inputs float64 (n, I)."""
        return inputs @ self.mean_weight + self.mean_bias


@dataclass(frozen=True, slots=True)
class Samples:
    """Inputs float64 (n, I), classes int64 (n,) and scaled returns float64 (n,)."""

    inputs: torch.Tensor
    classes: NDArray[np.int64]
    scaled_returns: Array


def fit_gate_model(train: Samples, validation: Samples, horizon_bars: int) -> GateModel:
    """Return the gate model, its two priors chosen by validation log-loss and squared error.

    Labels over h bars overlap, so n rows count as n / h observations against the prior.
    """
    observations = max(1.0, len(train.classes) / horizon_bars)
    penalties = [1.0 / (observations * sd * sd) for sd in PRIOR_DEVIATIONS]
    classifiers = [_fit_classes(train, penalty) for penalty in penalties]
    weight, bias = min(classifiers, key=lambda fit: _class_loss(fit, validation))
    regressions = [_fit_mean(train, penalty) for penalty in penalties]
    mean_weight, mean_bias = min(regressions, key=lambda fit: _squared_error(fit, validation))
    error = _squared_error((mean_weight, mean_bias), train)
    return GateModel(
        weight, bias, mean_weight, mean_bias, torch.tensor(np.log(error), dtype=torch.float64)
    )


def _fit_classes(train: Samples, penalty: float) -> tuple[torch.Tensor, torch.Tensor]:
    # Minimises mean cross-entropy + penalty / 2 |W|^2, strictly convex up to the common bias.
    width = train.inputs.shape[1]
    weight = torch.zeros((3, width), dtype=torch.float64, requires_grad=True)
    bias = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    classes = torch.from_numpy(train.classes)
    optimizer = torch.optim.LBFGS(
        [weight, bias], max_iter=60, tolerance_grad=1e-7, line_search_fn="strong_wolfe"
    )

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        logits = train.inputs @ weight.T + bias
        loss = functional.cross_entropy(logits, classes) + 0.5 * penalty * (weight**2).sum()
        torch.autograd.backward(loss)
        return loss

    optimizer.step(closure)
    return weight.detach(), bias.detach()


def _fit_mean(train: Samples, penalty: float) -> tuple[torch.Tensor, torch.Tensor]:
    # Ridge with noise of variance 1, which the scaled return has about.
    target = torch.from_numpy(train.scaled_returns)
    centre, level = train.inputs.mean(0), target.mean()
    centred = train.inputs - centre
    count, width = centred.shape
    gram = centred.T @ centred / count + penalty * torch.eye(width, dtype=torch.float64)
    weight = torch.linalg.solve(gram, centred.T @ (target - level) / count)
    return weight, level - centre @ weight


def _class_loss(fit: tuple[torch.Tensor, torch.Tensor], samples: Samples) -> float:
    logits = (samples.inputs @ fit[0].T + fit[1]).numpy()
    return log_loss(class_probabilities(logits), samples.classes)


def _squared_error(fit: tuple[torch.Tensor, torch.Tensor], samples: Samples) -> float:
    predicted = (samples.inputs @ fit[0] + fit[1]).numpy()
    return float(((samples.scaled_returns - predicted) ** 2).mean())
