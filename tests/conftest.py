"""Fixtures for all tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import settings

# A busy machine must not fail a test by its clock, and the same tests run everywhere.
settings.register_profile("mididdsp", deadline=None, derandomize=True)
settings.load_profile("mididdsp")

# Two intra-op threads on a busy machine cost many times what they gain, and the operations of the tests are small.
torch.set_num_threads(1)

ROOT = Path(__file__).parents[1]
GOLDEN_FOLDERS = (ROOT.parent / "shared" / "golden", Path(__file__).parent / "golden_small")

Golden = Callable[[str], dict[str, torch.Tensor]]


@pytest.fixture(scope="session")
def golden() -> Golden:
    """Numbers of the original by file name, as tensors; floats as float32. Skips where the file is absent."""

    def load(name: str) -> dict[str, torch.Tensor]:
        for folder in GOLDEN_FOLDERS:
            path = folder / f"{name}.npz"
            if path.exists():
                with np.load(path) as arrays:
                    found = {key: torch.from_numpy(np.asarray(arrays[key]))
                             for key in arrays.files if arrays[key].dtype.kind in "fiub"}
                return {key: value.float() if value.dtype == torch.float16 else value for key, value in found.items()}
        pytest.skip(f"{name}.npz is in neither {GOLDEN_FOLDERS[0]} nor {GOLDEN_FOLDERS[1]}")

    return load


@pytest.fixture(scope="session")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of made-up recordings, laid out as the real collection; never written to."""
    from made_up import write_collection

    return write_collection(tmp_path_factory.mktemp("collection"))


@pytest.fixture(scope="session")
def dataset(collection: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What ``prepare`` makes of the collection."""
    from mididdsp.data.notes_dataset import prepare

    folder = tmp_path_factory.mktemp("dataset")
    prepare(collection, folder, workers=1, progress=False)
    return folder
