"""The training loop: one plain loop for every model of the project.

Conventions: a batch is a pure function of the step, the model's own randomness (dropout) is seeded by (seed, step),
and all that a run has become is in one file, ``state.safetensors``. A run that was stopped therefore continues to the
same bits as one that was not. With ``minutes`` the learning rate follows the clock where the clock is ahead of the
steps, so that a run always ends fully decayed; only a run by ``steps`` alone is repeatable to the bit.
"""

from __future__ import annotations

import json
import math
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TextIO, TypeVar

import torch
from torch import Tensor, nn

from mididdsp.files import atomic_path
from mididdsp.random import keyed_generator

Batch = TypeVar("Batch")

STATE_FILE = "state.safetensors"
LOG_FILE = "log.jsonl"
CURVE_FILE = "curve.png"

_MOST_SKIPPED = 20  # consecutive steps without a finite gradient before a run is given up


class TrainingError(ValueError):
    """A run cannot start, continue or finish; the message is one sentence for the user."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopSettings:
    """How to train. At least one of ``steps`` and ``minutes`` is given; the run stops at whichever comes first.

    Attributes:
        steps: updates in all, counted from the beginning of the run, over all resumptions.
        minutes: of training in all, over all resumptions, on the wall clock.
        seed: of batches' keys (by the caller) and of the model's randomness.
        learning_rate: the highest, reached after the warm-up.
        warmup_steps: over which the rate rises linearly from 0.
        decay: ``cosine``, ``exponential`` or ``constant``, over the whole run.
        final_rate: the rate at the end as a share of ``learning_rate``, above 0.
        weight_decay: of AdamW, on matrices and kernels; never on biases, gains and other vectors.
        betas: of AdamW.
        clip_norm: the gradient's norm is cut to this; None for no limit.
        ema: decay of the running mean of the weights per step, such as 0.999; None for none. The mean is warmed up
            (Polyak averaging with weight (1 + n) / (10 + n) at first), it is what is validated and kept.
        validate_every: steps between validations.
        keep: ``last`` weights, or the ``best`` by the validation's ``loss``.
        save_every_s: seconds between saved states; a state is saved at the end too.
        log_every: steps between lines of the log.
        threads: of torch within an operation.
    """

    steps: int | None = None
    minutes: float | None = None
    seed: int = 0
    learning_rate: float = 1e-3
    warmup_steps: int = 100
    decay: str = "cosine"
    final_rate: float = 0.01
    weight_decay: float = 0.01
    betas: tuple[float, float] = (0.9, 0.99)
    clip_norm: float | None = 1.0
    ema: float | None = None
    validate_every: int = 500
    keep: str = "last"
    save_every_s: float = 240.0
    log_every: int = 20
    threads: int = 1

    def __post_init__(self) -> None:
        if self.steps is None and self.minutes is None:
            raise TrainingError("neither steps nor minutes is given; set one, such as steps=20000")
        if self.decay not in ("cosine", "exponential", "constant"):
            raise TrainingError(f"decay is {self.decay!r}; it must be cosine, exponential or constant")
        if self.keep not in ("last", "best"):
            raise TrainingError(f"keep is {self.keep!r}; it must be last or best")
        if self.ema is not None and not 0.0 < self.ema < 1.0:
            raise TrainingError(f"ema is {self.ema}; it must be between 0 and 1, or left out")
        for name, low in (("steps", 1), ("minutes", 0), ("warmup_steps", 0), ("validate_every", 1), ("log_every", 1),
                          ("threads", 1), ("learning_rate", 0), ("weight_decay", 0), ("clip_norm", 0),
                          ("save_every_s", 0)):
            value = getattr(self, name)
            if value is not None and not (value >= low and math.isfinite(value)):
                raise TrainingError(f"{name} is {value}; it must be a number from {low}")
        if not 0.0 < self.final_rate <= 1.0:
            raise TrainingError(f"final_rate is {self.final_rate}; it must be above 0 and at most 1")

    def rate(self, step: int, elapsed_s: float) -> float:
        """Learning rate of the update that leads from ``step`` to ``step + 1``, after ``elapsed_s`` of training."""
        shares = [step / self.steps] if self.steps is not None else []
        if self.minutes is not None:
            shares.append(elapsed_s / max(60.0 * self.minutes, 1e-9))
        done = min(1.0, max(shares))
        if self.decay == "cosine":
            share = self.final_rate + (1.0 - self.final_rate) * 0.5 * (1.0 + math.cos(math.pi * done))
        elif self.decay == "exponential":
            share = self.final_rate**done
        else:
            share = 1.0
        return self.learning_rate * share * min(1.0, (step + 1) / max(1, self.warmup_steps))


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopResult:
    """How a run ended.

    Attributes:
        step: updates made.
        seconds: of training, over all resumptions.
        valid: the last validation of the kept weights; empty without one.
        valid_step: the step of the kept weights.
        stopped: ``steps`` or ``minutes``.
    """

    step: int
    seconds: float
    valid: dict[str, float]
    valid_step: int
    stopped: str


class _Run(Generic[Batch]):
    """What a run has become: everything here goes into the state file and comes back from it."""

    def __init__(self, model: nn.Module, settings: LoopSettings, recipe: Mapping[str, Any]) -> None:
        trained = [(name, value) for name, value in model.named_parameters() if value.requires_grad]
        self.model = model
        self.settings = settings
        self.recipe = json.loads(json.dumps(recipe))
        self.parameters = [value for _, value in trained]
        self.optimizer = torch.optim.AdamW(
            [
                {"params": [value for _, value in trained if value.ndim > 1], "weight_decay": settings.weight_decay},
                {"params": [value for _, value in trained if value.ndim <= 1], "weight_decay": 0.0},
            ],
            lr=settings.learning_rate,
            betas=settings.betas,
        )
        self.mean = _copy(model.state_dict()) if settings.ema is not None else None
        self.best: dict[str, Tensor] | None = None
        self.best_valid: dict[str, float] = {}
        self.best_step = 0
        self.valid: dict[str, float] = {}
        self.step = 0
        self.elapsed_s = 0.0
        self.skipped = 0

    def weights(self) -> dict[str, Tensor]:
        """Those to validate and keep: the running mean where there is one."""
        return self.mean if self.mean is not None else self.model.state_dict()

    def save(self, file: Path) -> None:
        import safetensors.torch

        tensors = {f"model/{name}": value for name, value in self.model.state_dict().items()}
        for index, values in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer/{index}/{name}": value for name, value in values.items()}
        tensors |= {f"mean/{name}": value for name, value in (self.mean or {}).items()}
        tensors |= {f"best/{name}": value for name, value in (self.best or {}).items()}
        about = {
            "step": self.step, "elapsed_s": self.elapsed_s, "skipped": self.skipped, "valid": self.valid,
            "best_valid": self.best_valid, "best_step": self.best_step, "recipe": self.recipe,
        }
        data = safetensors.torch.save(_copy(tensors, "cpu"), metadata={"run": json.dumps(about)})
        with atomic_path(file) as partial:
            partial.write_bytes(data)

    def load(self, file: Path) -> None:
        import safetensors
        import safetensors.torch

        try:
            with safetensors.safe_open(file, framework="pt") as stream:
                about = json.loads((stream.metadata() or {})["run"])
                stored = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118
        except (safetensors.SafetensorError, KeyError, ValueError):
            raise TrainingError(f"{file} is damaged or not of a run; delete it to begin anew") from None
        differing = sorted(
            key for key in {*about["recipe"], *self.recipe} if about["recipe"].get(key) != self.recipe.get(key)
        )
        if differing:
            key = differing[0]
            raise TrainingError(
                f"{file.parent} holds a run of another recipe ({key} was {about['recipe'].get(key)!r}, now "
                f"{self.recipe.get(key)!r}); give another output folder, or delete {file} to begin anew"
            )
        groups: dict[str, dict[str, Tensor]] = {"model": {}, "mean": {}, "best": {}, "optimizer": {}}
        for name, value in stored.items():
            group, _, rest = name.partition("/")
            groups[group][rest] = value
        device = self.parameters[0].device
        self.model.load_state_dict(groups["model"])
        moments: dict[int, dict[str, Tensor]] = {}
        for name, value in groups["optimizer"].items():
            index, _, field = name.partition("/")
            moments.setdefault(int(index), {})[field] = value
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": moments})
        if self.mean is not None:
            self.mean = {name: value.to(device) for name, value in groups["mean"].items()}
        self.best = {name: value.to(device) for name, value in groups["best"].items()} or None
        self.step, self.elapsed_s, self.skipped = about["step"], about["elapsed_s"], about["skipped"]
        self.valid, self.best_valid, self.best_step = about["valid"], about["best_valid"], about["best_step"]

    def update(self, terms: Mapping[str, Tensor]) -> bool:
        """One step of the optimizer from the terms of the loss; False where the gradient was not finite."""
        settings = self.settings
        for group in self.optimizer.param_groups:
            group["lr"] = settings.rate(self.step, self.elapsed_s)
        self.optimizer.zero_grad(set_to_none=True)
        terms["loss"].backward()  # type: ignore[no-untyped-call]
        limit = settings.clip_norm if settings.clip_norm is not None else math.inf
        norm = nn.utils.clip_grad_norm_(self.parameters, limit)
        finite = bool(torch.isfinite(norm))
        if finite:
            self.optimizer.step()
        self.skipped = 0 if finite else self.skipped + 1
        self.step += 1
        if self.mean is not None and settings.ema is not None:
            weight = min(settings.ema, (1 + self.step) / (10 + self.step))
            for name, value in self.model.state_dict().items():
                if value.is_floating_point():
                    self.mean[name].lerp_(value, 1.0 - weight)
                else:
                    self.mean[name].copy_(value)
        return finite


def train(
    model: nn.Module,
    batch_at: Callable[[int], Batch],
    loss: Callable[[nn.Module, Batch], Mapping[str, Tensor]],
    settings: LoopSettings,
    folder: Path,
    *,
    validate: Callable[[nn.Module], Mapping[str, float]] | None = None,
    recipe: Mapping[str, Any] | None = None,
    quiet: bool = False,
) -> LoopResult:
    """Train ``model`` in place, or continue the run that ``folder`` holds; at the end it has the kept weights.

    Args:
        model: on its device; set to training mode for steps and to evaluation mode for validation and at the end.
        batch_at: the batch of a step, a pure function of the step (key its random numbers by seed and step).
        loss: the terms of a batch; ``loss`` is minimised, the others are logged. It moves the batch to the device.
        settings: see ``LoopSettings``.
        folder: for state, log and curve; made where it does not exist.
        validate: figures of the model as it stands, ``loss`` among them; called without gradients.
        recipe: JSON values that must be the same for a run to be continued (data, model, seed, rate …).
        quiet: no progress line on stderr.

    Raises:
        TrainingError: the state is damaged or of another recipe, or the loss is not finite for many steps.
        KeyboardInterrupt: the run was interrupted (SIGINT, SIGTERM); its state is saved first.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    state, log = folder / STATE_FILE, folder / LOG_FILE
    run: _Run[Batch] = _Run(model, settings, recipe or {})
    if state.exists():
        run.load(state)
    _cut_log(log, run.step)
    threads = torch.get_num_threads()
    torch.set_num_threads(settings.threads)
    try:
        with torch.random.fork_rng(), _interruptible() as interrupted, log.open("a", encoding="utf-8") as lines:
            stopped = _steps(run, batch_at, loss, validate, state, lines, interrupted, quiet)
    finally:
        torch.set_num_threads(threads)
    kept_best = settings.keep == "best" and run.best is not None
    model.load_state_dict(run.best if kept_best and run.best is not None else run.weights())
    model.eval()
    plot_log(folder)
    return LoopResult(
        step=run.step,
        seconds=run.elapsed_s,
        valid=dict(run.best_valid if kept_best else run.valid),
        valid_step=run.best_step if kept_best else run.step,
        stopped=stopped,
    )


def read_log(folder: Path) -> list[dict[str, Any]]:
    """The lines of a run's log: ``step``, ``seconds``, and ``train`` (with ``rate``) or ``valid`` figures."""
    file = Path(folder) / LOG_FILE
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()] if file.exists() else []


def plot_log(folder: Path) -> Path:
    """Draw ``curve.png``: training and validation loss over the steps. Needs no display."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.add_subplot(xlabel="step", ylabel="loss")
    lines = read_log(folder)
    for name, style in (("train", {"linewidth": 0.6, "alpha": 0.7}), ("valid", {"marker": "o", "markersize": 3})):
        points = [(line["step"], line[name]["loss"]) for line in lines if name in line]
        if points:
            axes.plot(*zip(*points), label=name, **style)
            axes.legend()
    file = Path(folder) / CURVE_FILE
    with atomic_path(file) as partial:
        figure.savefig(str(partial), format="png", dpi=100)
    return file


def _steps(
    run: _Run[Batch],
    batch_at: Callable[[int], Batch],
    loss: Callable[[nn.Module, Batch], Mapping[str, Tensor]],
    validate: Callable[[nn.Module], Mapping[str, float]] | None,
    state: Path,
    log: TextIO,
    interrupted: threading.Event,
    quiet: bool,
) -> str:
    settings = run.settings
    before_s, began, saved = run.elapsed_s, time.monotonic(), time.monotonic()
    first_step = run.step
    progress = _Progress(quiet)
    sums: dict[str, float] = {}
    counted = 0
    while True:
        stopped = _finished(settings, run)
        if stopped and run.step == first_step:  # a finished run was asked for again: nothing to do, nothing to write
            return stopped
        if stopped or interrupted.is_set():
            break
        torch.manual_seed(_step_seed(settings.seed, run.step))
        run.model.train()
        batch = batch_at(run.step)
        terms = loss(run.model, batch)
        finite = run.update(terms)
        run.elapsed_s = before_s + time.monotonic() - began
        if run.skipped > _MOST_SKIPPED:
            raise TrainingError(
                f"the gradient was not finite for {run.skipped} steps up to step {run.step}; "
                "lower learning_rate, or look for damaged data"
            )
        if finite:
            counted += 1
            for name, value in terms.items():
                sums[name] = sums.get(name, 0.0) + float(value.detach())
        last = _finished(settings, run) is not None
        if counted and (run.step % settings.log_every == 0 or last):
            means = {name: value / counted for name, value in sums.items()}
            means["rate"] = settings.rate(run.step - 1, run.elapsed_s)
            _log(log, run, "train", means)
            progress.show(run, means["loss"], run.elapsed_s - before_s, run.step - first_step)
            sums, counted = {}, 0
        if validate is not None and (run.step % settings.validate_every == 0 or last):
            run.valid = _validate(run, validate)
            _log(log, run, "valid", run.valid)
            if settings.keep == "best" and (not run.best_valid or run.valid["loss"] < run.best_valid["loss"]):
                run.best, run.best_valid, run.best_step = _copy(run.weights()), run.valid, run.step
        run.elapsed_s = before_s + time.monotonic() - began
        if time.monotonic() - saved >= settings.save_every_s:
            log.flush()
            run.save(state)
            saved = time.monotonic()
    progress.end()
    log.flush()
    run.save(state)
    if stopped is None:
        raise KeyboardInterrupt
    return stopped


def _finished(settings: LoopSettings, run: _Run[Batch]) -> str | None:
    if settings.steps is not None and run.step >= settings.steps:
        return "steps"
    if settings.minutes is not None and run.elapsed_s >= 60.0 * settings.minutes:
        return "minutes"
    return None


def _validate(run: _Run[Batch], validate: Callable[[nn.Module], Mapping[str, float]]) -> dict[str, float]:
    """Figures of the weights to keep; the training weights are back in place afterwards."""
    training = _copy(run.model.state_dict())
    run.model.load_state_dict(run.weights())
    run.model.eval()
    with torch.no_grad():
        figures = {name: float(value) for name, value in validate(run.model).items()}
    run.model.load_state_dict(training)
    return figures


def _log(log: TextIO, run: _Run[Batch], name: str, figures: Mapping[str, float]) -> None:
    rounded = {key: float(f"{value:.6g}") for key, value in figures.items()}
    log.write(json.dumps({"step": run.step, "seconds": round(run.elapsed_s, 1), name: rounded}) + "\n")


def _cut_log(log: Path, step: int) -> None:
    """Drop what was logged after the state was saved: it will be logged again."""
    if not log.exists():
        return
    kept = []
    for line in log.read_text(encoding="utf-8").splitlines():
        try:
            if json.loads(line)["step"] <= step:
                kept.append(line + "\n")
        except (ValueError, KeyError):  # a line cut short when the machine stopped
            continue
    with atomic_path(log) as partial:
        partial.write_text("".join(kept), encoding="utf-8")


def _copy(tensors: Mapping[str, Tensor], device: str | None = None) -> dict[str, Tensor]:
    return {name: value.detach().to(device or value.device, copy=True).contiguous() for name, value in tensors.items()}


def _step_seed(seed: int, step: int) -> int:
    return int(keyed_generator(seed, "training step", str(step)).integers(2**62))


@contextmanager
def _interruptible() -> Iterator[threading.Event]:
    """Let a step end before an interruption takes effect; a half-made update could not be continued."""
    event = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield event
        return
    before = {number: signal.signal(number, lambda *_: event.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield event
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Progress:
    """One line on stderr: step, loss, validation, time left. Rewritten in a terminal, every 10 s in a file."""

    def __init__(self, quiet: bool) -> None:
        self.quiet = quiet
        self.terminal = sys.stderr.isatty()
        self.shown = -math.inf
        self.width = 0

    def show(self, run: _Run[Batch], loss: float, seconds: float, steps: int) -> None:
        now = time.monotonic()
        if self.quiet or now - self.shown < (0.2 if self.terminal else 10.0):
            return
        self.shown = now
        left = []
        if run.settings.steps is not None:
            left.append((run.settings.steps - run.step) * seconds / max(1, steps))
        if run.settings.minutes is not None:
            left.append(60.0 * run.settings.minutes - run.elapsed_s)
        valid = f"  valid {run.valid['loss']:.4f}" if "loss" in run.valid else ""
        line = f"step {run.step}  loss {loss:.4f}{valid}  {max(0.0, min(left)):.0f} s left"
        if self.terminal:
            sys.stderr.write("\r" + line.ljust(self.width))
            self.width = len(line)
        else:
            sys.stderr.write(line + "\n")
        sys.stderr.flush()

    def end(self) -> None:
        if self.terminal and not self.quiet and self.width:
            sys.stderr.write("\n")
