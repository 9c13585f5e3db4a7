"""The loop: the same run whether interrupted or not, schedules as they promise, and clear refusals."""

from __future__ import annotations

import math
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from mididdsp.random import keyed_generator
from mididdsp.training.loop import (
    CURVE_FILE,
    STATE_FILE,
    LoopResult,
    LoopSettings,
    TrainingError,
    read_log,
    train,
)

Pair = tuple[Tensor, Tensor]


def model() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(4, 16), nn.BatchNorm1d(16), nn.Dropout(0.3), nn.ReLU(), nn.Linear(16, 1))


def batch_at(step: int) -> Pair:
    x = torch.from_numpy(keyed_generator(1, "batch", str(step)).standard_normal((8, 4)).astype(np.float32))
    return x, x.sum(-1, keepdim=True)


def loss(net: nn.Module, batch: Pair) -> dict[str, Tensor]:
    error = (net(batch[0]) - batch[1]).abs().mean()
    return {"loss": error, "square": error.detach() ** 2}


def validate(net: nn.Module) -> dict[str, float]:
    assert not net.training
    return {"loss": float(loss(net, batch_at(10**6))["loss"].detach())}


def settings(**changes: Any) -> LoopSettings:
    values: dict[str, Any] = {
        "steps": 40, "ema": 0.9, "validate_every": 7, "keep": "best", "warmup_steps": 5, "log_every": 5,
        "learning_rate": 0.01, **changes,
    }
    return LoopSettings(**values)


def run(folder: Path, net: nn.Module, batches: Callable[[int], Pair] = batch_at, **changes: Any) -> LoopResult:
    return train(net, batches, loss, settings(**changes), folder, validate=validate, recipe={"data": "a"}, quiet=True)


def same(one: nn.Module, other: nn.Module) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values()))


@pytest.mark.parametrize("stop", [1, 14, 33])
@pytest.mark.parametrize("changes", [{}, {"ema": None, "keep": "last", "decay": "exponential"}])
def test_an_interrupted_run_ends_in_the_same_bits(tmp_path: Path, stop: int, changes: dict[str, Any]) -> None:
    whole, parted = model(), model()
    expected = run(tmp_path / "whole", whole, **changes)

    def interrupted(step: int) -> Pair:
        if step == stop:
            os.kill(os.getpid(), signal.SIGTERM)
        return batch_at(step)

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "parted", parted, interrupted, **changes)
    parted = model()
    result = run(tmp_path / "parted", parted, **changes)
    assert same(whole, parted)
    assert (result.step, result.valid, result.valid_step) == (expected.step, expected.valid, expected.valid_step)
    valid = [[line for line in read_log(tmp_path / name) if "valid" in line] for name in ("whole", "parted")]
    assert [(line["step"], line["valid"]) for line in valid[0]] == [(line["step"], line["valid"]) for line in valid[1]]


def test_a_crash_costs_only_what_came_after_the_saved_state(tmp_path: Path) -> None:
    whole, parted = model(), model()
    run(tmp_path / "whole", whole)

    def crashing(step: int) -> Pair:
        if step == 23:
            raise RuntimeError("power cut")
        return batch_at(step)

    with pytest.raises(RuntimeError, match="power cut"):
        run(tmp_path / "parted", parted, crashing, save_every_s=0.0)
    with (tmp_path / "parted" / "log.jsonl").open("a") as log:
        log.write('{"step": 9')  # a line cut short
    parted = model()
    run(tmp_path / "parted", parted)
    assert same(whole, parted)
    steps = [line["step"] for line in read_log(tmp_path / "parted") if "train" in line]
    assert steps == [5, 10, 15, 20, 25, 30, 35, 40]


def test_a_finished_run_gives_its_weights_again_and_can_be_lengthened(tmp_path: Path) -> None:
    first, again, longer = model(), model(), model()
    run(tmp_path, first)
    before = (tmp_path / STATE_FILE).read_bytes()
    assert run(tmp_path, again).step == 40
    assert same(first, again)
    assert (tmp_path / STATE_FILE).read_bytes() == before
    assert run(tmp_path, longer, steps=50).step == 50


def test_it_learns_and_draws_a_curve(tmp_path: Path) -> None:
    net = model()
    start = validate(net.eval())["loss"]
    result = run(tmp_path, net, steps=300)
    assert result.valid["loss"] < 0.5 * start
    assert validate(net)["loss"] == result.valid["loss"]
    assert (tmp_path / CURVE_FILE).read_bytes().startswith(b"\x89PNG")


def test_the_best_weights_are_kept(tmp_path: Path) -> None:
    # A rate so high that the end is not the best.
    net = model()
    result = run(tmp_path, net, learning_rate=2.0, decay="constant", ema=None, steps=60)
    losses = {line["step"]: line["valid"]["loss"] for line in read_log(tmp_path) if "valid" in line}
    assert result.valid_step == min(losses, key=losses.__getitem__)
    # The log keeps six digits.
    assert validate(net)["loss"] == pytest.approx(min(losses.values()), rel=1e-5)


def test_the_running_mean_is_what_is_kept(tmp_path: Path) -> None:
    net = nn.Linear(1, 1, bias=False)
    weights = []

    def watch(_: nn.Module, __: int) -> dict[str, Tensor]:
        weights.append(float(net.weight.detach()))
        return {"loss": net.weight.sum()}

    constant = settings(steps=20, keep="last", ema=0.5, decay="constant")
    train(net, lambda step: step, watch, constant, tmp_path, quiet=True)
    weights.append(float(safetensors.torch.load_file(tmp_path / STATE_FILE)["model/weight"]))
    mean = weights[0]
    for step, weight in enumerate(weights[1:], 1):
        share = min(0.5, (1 + step) / (10 + step))
        mean = share * mean + (1 - share) * weight
    # Twenty roundings of float32.
    assert float(net.weight.detach()) == pytest.approx(mean, rel=1e-5)
    assert mean > weights[-1] + 1e-3  # the weight falls at every step; its mean lags behind


def test_the_global_generator_and_threads_are_left_alone(tmp_path: Path) -> None:
    torch.manual_seed(5)
    expected, threads = torch.rand(3), torch.get_num_threads()
    torch.manual_seed(5)
    run(tmp_path, model(), threads=threads + 1)
    assert torch.equal(torch.rand(3), expected)
    assert torch.get_num_threads() == threads


def test_rates_follow_steps_and_the_clock() -> None:
    cosine = settings(steps=100, warmup_steps=10, learning_rate=1.0, final_rate=0.1)
    assert cosine.rate(0, 0.0) == pytest.approx(0.1)  # a tenth of the warm-up
    assert cosine.rate(50, 0.0) == pytest.approx(0.55)  # half way between 1 and 0.1
    assert cosine.rate(100, 0.0) == pytest.approx(0.1)
    falling = settings(steps=100, warmup_steps=0, learning_rate=1.0, final_rate=0.01, decay="exponential")
    assert falling.rate(50, 0.0) == pytest.approx(0.1)
    # The clock is ahead of the steps: it decides.
    both = settings(steps=100, minutes=1.0, warmup_steps=0, learning_rate=1.0, final_rate=0.01, decay="exponential")
    assert both.rate(10, 30.0) == pytest.approx(0.1)
    assert both.rate(90, 30.0) == pytest.approx(0.01**0.9)


def test_minutes_stop_a_run(tmp_path: Path) -> None:
    result = run(tmp_path, model(), steps=None, minutes=0.2 / 60.0)
    assert result.stopped == "minutes"
    assert 0.2 <= result.seconds < 20.0


def test_another_recipe_is_refused(tmp_path: Path) -> None:
    run(tmp_path, model())
    with pytest.raises(TrainingError, match="data was 'a', now 'b'"):
        train(model(), batch_at, loss, settings(), tmp_path, recipe={"data": "b"}, quiet=True)


def test_a_damaged_state_is_refused(tmp_path: Path) -> None:
    run(tmp_path, model())
    data = (tmp_path / STATE_FILE).read_bytes()
    (tmp_path / STATE_FILE).write_bytes(data[:-5])
    with pytest.raises(TrainingError, match="damaged"):
        run(tmp_path, model())


def test_steps_without_a_finite_gradient_change_nothing_and_many_end_the_run(tmp_path: Path) -> None:
    def sometimes(step: int) -> Pair:
        x, y = batch_at(step)
        return (x * math.nan, y) if step == 3 else (x, y)

    net = nn.Linear(4, 1)
    train(net, sometimes, loss, settings(ema=None, keep="last"), tmp_path / "a", quiet=True)
    assert all(bool(torch.isfinite(value).all()) for value in net.state_dict().values())
    with pytest.raises(TrainingError, match="gradient was not finite"):
        train(net, lambda step: (batch_at(step)[0] * math.nan, batch_at(step)[1]), loss, settings(), tmp_path / "b",
              quiet=True)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"steps": None}, "neither steps nor minutes"),
        ({"steps": 0}, "steps is 0"),
        ({"decay": "linear"}, "decay is 'linear'"),
        ({"keep": "first"}, "keep is 'first'"),
        ({"ema": 1.0}, "ema is 1.0"),
        ({"learning_rate": math.nan}, "learning_rate is nan"),
        ({"final_rate": 0.0}, "final_rate is 0.0"),
    ],
)
def test_settings_that_cannot_be_are_refused(change: dict[str, Any], words: str) -> None:
    with pytest.raises(TrainingError, match=words):
        settings(**change)
