"""Two-sample test: can a classifier tell renders from recordings by their log-mel patches?

    python -m bench.two_sample --split valid [--most 20] [--json FILE]

Single notes of all instruments, pooled; the renders are those of ``bench.single_notes``. Patches are 16 frames of 10 ms
by 64 mel bands, each re its own level (``bench.measures.mel_patches``). Classifiers, all split by recording (half
to learn, half to tell), over five seeds; the AUC is the mean over seeds:

* **trees**: gradient-boosted trees (scikit-learn's, as they come) on what a recording's patches say together: mean,
  spread and change from frame to frame of each band. It tells FluidSynth as well as others did, and the control as
  badly, so its figures can be held against theirs;
* **logistic**: ridge logistic regression on 60 principal components of the patches, a recording's score being the mean
  over its patches, here and below;
* **CNN**: three 3 x 3 convolutions (16, 32, 64 channels, stride 2, ReLU), mean over what is left, one linear layer;
  Adam 2e-3, batches of 64 patches, weight decay 1e-3, 12 passes;
* **trees, no rumble** and **CNN, no rumble**: the same without the lowest band, 40 to 113 Hz. What rooms and stands
  rumble there is in the recordings of some instruments, down to 35 dB below the note, and is left out of our sound on
  purpose.

The control tells real clips from other real takes of the same notes: it should be near 0.5. Others measured 0.95 for
FluidSynth and 0.55 for the control. The bar: ours below FluidSynth's.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from bench import fluid, measures
from bench.workbench import (
    RATE,
    Array,
    Setup,
    SingleNote,
    command,
    instruments_of,
    over,
    parser_of,
    sampled,
    shown,
    single_notes,
    table,
    verdict,
)

SEEDS = (0, 1, 2, 3, 4)
FRAMES = 16
PASSES, BATCH, RATE_OF_LEARNING, DECAY = 12, 64, 2e-3, 1e-3
MOST_PATCHES = 24
"""Of one recording: long notes would otherwise be most of what is learned."""
SIDES = ("ours", "fluidsynth", "take")

Classifier = Callable[[Sequence[Array], Sequence[Array], int], float]
"""Recordings' patches of both kinds and a seed to the AUC of one split."""


def patches_of(audio: Array) -> Array:
    """At most 24 patches of a recording, evenly over it; [patches, 16 * 64], float32 range."""
    found = measures.mel_patches(audio, RATE, FRAMES)
    if len(found) <= MOST_PATCHES:
        return found
    return np.asarray(found[np.linspace(0, len(found) - 1, MOST_PATCHES).astype(int)])


def _measured(setup: Setup, job: tuple[SingleNote, Array | None]) -> dict[str, Array]:
    case, sampler = job
    library = setup.library
    found = {"real": patches_of(library.audio(case.clip)),
             "ours": patches_of(setup.chain.render_notes(case.clip.instrument, [case.note], RATE))}
    if sampler is not None:
        found["fluidsynth"] = patches_of(sampler)
    other = library.another_take(case.clip)
    if other is not None:
        found["take"] = patches_of(library.audio(other))
    return found


def cnn_auc(first: Sequence[Array], second: Sequence[Array], seed: int) -> float:
    """AUC of the small network for one split; items as :func:`bench.measures.two_sample_auc` takes them."""
    import torch
    from torch import nn

    torch.set_num_threads(1)
    random = np.random.default_rng(seed)
    learned, told = measures.split_by_recording(first, second, random)
    features = np.concatenate([patches for patches, _ in learned])
    labels = np.concatenate([np.full(len(patches), label) for patches, label in learned])
    mean, scale = features.mean(axis=0), float(features.std())

    def shaped(patches: Array) -> Any:
        return torch.from_numpy(((patches - mean) / scale).astype(np.float32)).view(
            -1, 1, FRAMES, measures.MEL_BANDS)

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = nn.Sequential(
            nn.Conv2d(1, 16, 3, stride=2), nn.ReLU(), nn.Conv2d(16, 32, 3, stride=2), nn.ReLU(),
            nn.Conv2d(32, 64, 3, stride=(1, 2)), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 1))
        optimizer = torch.optim.Adam(network.parameters(), lr=RATE_OF_LEARNING, weight_decay=DECAY)
        inputs, targets = shaped(features), torch.from_numpy(labels.astype(np.float32))
        for _ in range(PASSES):
            for chosen in np.array_split(random.permutation(len(labels)), max(1, len(labels) // BATCH)):
                optimizer.zero_grad()
                loss = nn.functional.binary_cross_entropy_with_logits(network(inputs[chosen])[:, 0], targets[chosen])
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
        network.eval()
        with torch.inference_mode():
            scores = np.array([float(network(shaped(patches)).mean()) for patches, _ in told])
    return measures.area_under_curve(scores, np.array([label for _, label in told]))


def pooled(patches: Array) -> Array:
    """What the patches of a recording say together: mean, spread and mean change a frame of each band; [3 * 64]."""
    bands = patches.reshape(-1, FRAMES, measures.MEL_BANDS)
    return np.concatenate([bands.mean((0, 1)), bands.std((0, 1)), np.abs(np.diff(bands, axis=1)).mean((0, 1))])


def trees_auc(first: Sequence[Array], second: Sequence[Array], seed: int) -> float:
    """AUC of boosted trees on pooled patches for one split; items as ``bench.measures.two_sample_auc`` takes them."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    (learned, kinds), (told, answers) = (
        (np.stack([pooled(patches) for patches, _ in side]), np.array([label for _, label in side]))
        for side in measures.split_by_recording(first, second, np.random.default_rng(seed)))
    model = HistGradientBoostingClassifier(random_state=seed).fit(learned, kinds)
    return measures.area_under_curve(model.predict_proba(told)[:, 1], answers)


def without_lowest(patches: Array) -> Array:
    """Patches that say nothing in the lowest band (40 to 113 Hz); [patches, 16 * 64]."""
    kept = patches.reshape(-1, FRAMES, measures.MEL_BANDS).copy()
    kept[:, :, 0] = 0.0
    return kept.reshape(patches.shape)


def _without_rumble(classifier: Classifier) -> Classifier:
    return lambda first, second, seed: classifier(
        [without_lowest(patches) for patches in first], [without_lowest(patches) for patches in second], seed)


CLASSIFIERS: Mapping[str, Classifier] = {
    "trees": trees_auc,
    "trees, no rumble": _without_rumble(trees_auc),
    "logistic": lambda first, second, seed: measures.two_sample_auc(first, second, seeds=(seed,)),
    "CNN": cnn_auc,
    "CNN, no rumble": _without_rumble(cnn_auc),
}


def _auc(setup: Setup, job: tuple[str, int, Sequence[Array], Sequence[Array]]) -> float:
    classifier, seed, first, second = job
    return CLASSIFIERS[classifier](first, second, seed)


def report(figures: Mapping[str, Mapping[str, Mapping[str, float]]]) -> str:
    """A line a classifier."""
    rows = []
    for classifier, sides in figures.items():
        cells = [f"{shown(sides[side]['auc'])} +-{shown(sides[side]['sd'])}" if side in sides else "n/a"
                 for side in SIDES]
        reached = sides["ours"]["auc"] < sides["fluidsynth"]["auc"] if "fluidsynth" in sides else None
        rows.append((classifier, *cells, verdict(reached)))
    return table(("AUC against real clips", "ours", "FluidSynth (others: .95)", "real takes (others: .55)",
                  "ours below"), rows)


def work(setup: Setup, options: argparse.Namespace) -> tuple[str, dict[str, Any]]:
    """Tables and figures."""
    cases = single_notes(setup, instruments_of(options), options.most, options.workers)
    played = sampled([fluid.Request(instrument=case.clip.instrument, notes=(case.note,)) for case in cases])
    found = over(_measured, setup, list(zip(cases, played)), options.workers)
    pairs = {side: [(item["real"], item[side]) for item in found if side in item] for side in SIDES}
    jobs = [(classifier, side, seed) for classifier in CLASSIFIERS for side in SIDES for seed in SEEDS
            if len(pairs[side]) >= 8]
    aucs = over(_auc, setup, [(classifier, seed, [a for a, _ in pairs[side]], [b for _, b in pairs[side]])
                              for classifier, side, seed in jobs], options.workers)
    figures: dict[str, dict[str, dict[str, float]]] = {}
    for classifier in CLASSIFIERS:
        for side in SIDES:
            own = [auc for (name, what, _), auc in zip(jobs, aucs) if (name, what) == (classifier, side)]
            if own:
                figures.setdefault(classifier, {})[side] = {
                    "auc": float(np.mean(own)), "sd": float(np.std(own)), "clips": float(len(pairs[side]))}
    return report(figures) + f"\n{len(cases)} clips, {len(SEEDS)} seeds", figures


if __name__ == "__main__":
    sys.exit(command(__doc__, work, parser=parser_of(__doc__, most=20)))
