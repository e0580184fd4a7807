"""Event files for TensorBoard, beside the journal."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from histocerb.core.errors import UsageError
from histocerb.training.journal import Sink


def scalar_sinks(logger: str, out: Path) -> tuple[Sink, ...]:
    """What `TrainConfig.logger` asks for besides the journal.

    Raises:
        UsageError: the package that it needs is not installed.
    """
    if logger != "tensorboard":
        return ()
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise UsageError(
            "logger = 'tensorboard' needs the package tensorboard, found none; "
            "install it with `pip install 'histocerb[tensorboard]'`"
        ) from error
    events = SummaryWriter(str(out / "tensorboard"))

    def write(step: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            events.add_scalar(name, value, step)
        events.flush()

    return (write,)
