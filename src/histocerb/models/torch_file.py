"""Files of torch.save, read with `weights_only=True`: nothing in them is executed."""

from __future__ import annotations

import pickle
import warnings
from pathlib import Path
from typing import Any

import torch

from histocerb.core.errors import CheckpointError


def read_torch_file(path: Path) -> dict[str, Any]:
    """The dict in a file of torch.save, its tensors on the CPU.

    Raises:
        CheckpointError: no such file, not a torch file, more than tensors in it, or not a dict.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on files that are refused below anyway
            document = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise CheckpointError(f"there is no file {path}") from error
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{path} is refused: it holds more than tensors, and loading it could run code"
        ) from error
    except MemoryError:
        raise
    except Exception as error:  # whatever damaged bytes make of a reader
        raise CheckpointError(f"{path} is not a torch checkpoint, or it is truncated") from error
    if not isinstance(document, dict):
        raise CheckpointError(f"{path} holds a {type(document).__name__}, expected a dict with a state dict")
    return document
