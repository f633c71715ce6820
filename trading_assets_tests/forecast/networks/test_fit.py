from dataclasses import replace

import numpy as np
import pytest
import torch

from trading_assets.forecast.calibration import class_probabilities, log_loss
from trading_assets.forecast.dataset import Rows, gather_windows
from trading_assets.forecast.networks.fit import (
    EnsembleTask,
    FittedEnsemble,
    fit_ensemble,
    resample_rows,
    run_network,
)
from trading_assets.forecast.networks.strip_rows import STRIP_WINDOWS, LabelledRows, StripTable
from trading_assets.forecast.seeded_thread import one_seeded_thread
from trading_assets.forecast_specs import ForecastSpec
from trading_assets_tests.forecast.networks.network_cases import (
    TINY,
    draw,
    grid,
    label,
    make_network,
)

WINDOW, N_SESSIONS = 10, 300
SPEC = ForecastSpec(
    network=TINY, members=3, window_bars=WINDOW, horizon_bars=2, epochs=2, batch_size=64
)


def make_task(**changes: object) -> EnsembleTask:
    inputs = draw(3, 5, N_SESSIONS)
    train, stopping = label(grid(3, 9, 230)), label(grid(3, 240, 300), seed=1)
    # The return follows an input two bars back, which the last bar alone does not show.
    planted = inputs[:, 0].roll(2, dims=1).numpy()

    def plant(labelled: LabelledRows) -> LabelledRows:
        at = labelled.rows.symbol, labelled.rows.session
        returns = planted[at] + 0.5 * labelled.scaled_returns
        classes = np.digitize(returns, (-0.4, 0.4))
        return replace(labelled, scaled_returns=returns, classes=classes)

    spec = SPEC.model_copy(update=changes)
    return EnsembleTask(inputs, 0, plant(train), plant(stopping), spec, seed=0)


def weights_of(fitted: FittedEnsemble) -> list[torch.Tensor]:
    return [value for network in fitted.networks for value in network.state_dict().values()]


def are_equal(one: FittedEnsemble, other: FittedEnsemble) -> bool:
    return all(map(torch.equal, weights_of(one), weights_of(other)))


def test_members_learn_what_older_bars_tell():
    task = make_task(epochs=12, learning_rate=2e-2, members=2, input_decay=0.1)
    fitted = fit_ensemble(task)
    for losses in fitted.epoch_log_loss:
        assert min(losses) < 0.9 < np.log(3.0) - 0.15


def test_threads_and_the_callers_seed_change_nothing_and_the_seed_does():
    task = make_task()
    first = fit_ensemble(task)
    torch.manual_seed(99)
    assert are_equal(first, fit_ensemble(replace(task, threads=3)))
    assert not are_equal(first, fit_ensemble(replace(task, seed=1)))


def test_members_differ_from_each_other_by_rows_and_by_weights():
    for resampling in ("blocks", "none"):
        fitted = fit_ensemble(make_task(resampling=resampling))
        first, second, _ = (next(iter(n.parameters())) for n in fitted.networks)
        assert not torch.allclose(first, second)


def test_training_leaves_the_callers_seed_and_threads_alone():
    torch.manual_seed(5)
    expected, threads = torch.rand(3), torch.get_num_threads()
    torch.manual_seed(5)
    fit_ensemble(make_task(epochs=1))
    assert torch.equal(torch.rand(3), expected)
    assert torch.get_num_threads() == threads


def test_the_best_epoch_is_kept():
    task = make_task(epochs=6, learning_rate=5e-2, members=1)
    fitted = fit_ensemble(task)
    table = StripTable(task.inputs, WINDOW)
    output = run_network(fitted.networks[0], table, task.stopping)
    loss = log_loss(class_probabilities(output.logits.double().numpy()), task.stopping.classes)
    assert loss == pytest.approx(min(fitted.epoch_log_loss[0]), abs=1e-9)
    assert min(fitted.epoch_log_loss[0]) < fitted.epoch_log_loss[0][-1]


def test_rows_of_weight_zero_are_not_learned_from():
    task = make_task(epochs=1, members=1)
    is_late = task.train.rows.session > 120
    silent = replace(task.train, weights=np.where(is_late, 0.0, task.train.weights))
    scrambled = replace(
        silent,
        scaled_returns=np.where(is_late, 7.0, silent.scaled_returns),
        classes=np.where(is_late, 0, silent.classes),
    )
    first = fit_ensemble(replace(task, train=silent))
    assert are_equal(first, fit_ensemble(replace(task, train=scrambled)))
    assert not are_equal(first, fit_ensemble(task))


def test_no_bar_after_the_last_row_or_before_the_first_window_is_seen():
    task = make_task(epochs=1, members=1)
    # Stopping rows begin with session 240, whose window begins with 231.
    changed = task.inputs.clone()
    changed[:, :, 230:231] += 3.0
    assert are_equal(fit_ensemble(task), fit_ensemble(replace(task, inputs=changed)))
    later = replace(task, train=replace_rows(task.train, first=30))
    changed = task.inputs.clone()
    changed[:, :, : 30 - WINDOW + 1] += 3.0
    assert are_equal(fit_ensemble(later), fit_ensemble(replace(later, inputs=changed)))
    changed[:, :, 30 - WINDOW + 1] += 3.0
    assert not are_equal(fit_ensemble(later), fit_ensemble(replace(later, inputs=changed)))


def replace_rows(labelled: LabelledRows, first: int) -> LabelledRows:
    kept = labelled.rows.session >= first
    return LabelledRows(
        labelled.rows.where(kept),
        labelled.classes[kept],
        labelled.scaled_returns[kept],
        labelled.weights[kept],
    )


@pytest.mark.parametrize("first", [9, 11, 40])
def test_an_epoch_gives_every_row_once(first: int):
    inputs = draw(3, 5, N_SESSIONS)
    labelled = label(grid(3, first, 297))
    table = StripTable(inputs, WINDOW)
    seen: list[tuple[float, int, float]] = []
    batches = table.shuffle(labelled, 48, np.random.default_rng(2))
    assert len(list(batches)) == len(batches)
    for batch in batches:
        assert batch.bars.shape[1:] == (5, STRIP_WINDOWS + WINDOW - 1)
        kept = batch.weights > 0
        columns = (batch.scaled_returns[kept], batch.classes[kept], batch.weights[kept])
        seen += list(zip(*(column.tolist() for column in columns), strict=True))
    expected = zip(
        labelled.scaled_returns.astype(np.float32).tolist(),
        labelled.classes.tolist(),
        labelled.weights.astype(np.float32).tolist(),
        strict=True,
    )
    assert sorted(seen) == sorted(expected)


def test_a_strip_holds_the_windows_of_its_rows():
    inputs = draw(3, 5, N_SESSIONS)
    rows = Rows(np.array([2, 0, 0, 1]), np.array([9, 100, 299, 131]))
    table = StripTable(inputs, WINDOW)
    found = np.zeros((4, 5, WINDOW), np.float32)
    for bars, numbers in table.cover(rows, 32):
        windows = bars.unfold(2, WINDOW, 1).transpose(1, 2).reshape(-1, 5, WINDOW)
        found[numbers[numbers >= 0]] = windows[numbers >= 0].numpy()
    np.testing.assert_array_equal(found, gather_windows(inputs, rows, WINDOW).numpy())


def test_rows_are_run_as_the_network_runs_their_windows():
    network, inputs = make_network(), draw(3, 5, N_SESSIONS)
    rng = np.random.default_rng(4)
    chosen = np.unique(rng.integers(3 * 280, size=200))
    rows = Rows(chosen % 3, chosen // 3 + 15)
    found = run_network(network, StripTable(inputs, WINDOW), label(rows))
    expected = network(gather_windows(inputs, rows, WINDOW))
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other.detach(), atol=2e-6, rtol=0)


def test_resampling_draws_whole_blocks_and_keeps_the_mean_weight():
    labelled = label(grid(3, 0, 240))
    drawn = resample_rows(labelled, 8, np.random.default_rng(0))
    assert drawn.weights.mean() == pytest.approx(1.0)
    times = (drawn.weights / labelled.weights).reshape(30, 8 * 3)
    np.testing.assert_allclose(times, times[:, :1].repeat(24, axis=1))
    share_left_out = (times[:, 0] == 0).mean()
    assert 0.1 < share_left_out < 0.6  # 1 / e on average


def test_one_seeded_thread_gives_back_threads_and_seed():
    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    before = torch.get_num_threads()
    with one_seeded_thread(3):
        assert torch.get_num_threads() == 1
        torch.rand(2)
    assert torch.get_num_threads() == before
    assert torch.equal(torch.rand(1), expected)
