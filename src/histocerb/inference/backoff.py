"""As many windows on a device at a time as its memory holds."""

from __future__ import annotations

import logging
from collections.abc import Callable
from threading import Condition
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import torch

from histocerb.core.errors import HistocerbError
from histocerb.inference.protocol import HeadMaps, Predictor

_LOG = logging.getLogger(__name__)

T = TypeVar("T")


class Backoff:
    """A predictor for several threads; at an out-of-memory error fewer of them may use it at a time.

    Attributes:
        limit: threads that may.
    """

    def __init__(self, predictor: Predictor, limit: int) -> None:
        self.limit = limit
        self._predictor = predictor
        self._busy = 0
        self._changed = Condition()

    @property
    def device(self) -> str:
        """Of the predictor."""
        return self._predictor.device

    def predict(self, image: npt.NDArray[np.uint8], margin_px: int) -> HeadMaps:
        """Final maps of one window; see `Predictor.predict`.

        Raises:
            HistocerbError: The device has no room for one window.
        """
        return self._tried(lambda: self._predictor.predict(image, margin_px))

    def probabilities(self, image: npt.NDArray[np.uint8], margin_px: int) -> HeadMaps:
        """Probabilities of every channel; see `Predictor.probabilities`.

        Raises:
            HistocerbError: The device has no room for one window.
        """
        return self._tried(lambda: self._predictor.probabilities(image, margin_px))

    def _tried(self, work: Callable[[], T]) -> T:
        """Do the work, and again with fewer beside it as long as memory does not suffice."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._busy < self.limit)
                self._busy += 1
                allowed = self.limit
            try:
                return work()
            except torch.OutOfMemoryError as error:
                self._less(allowed, error)
            finally:
                with self._changed:
                    self._busy -= 1
                    self._changed.notify_all()
            if torch.cuda.is_available():
                torch.cuda.empty_cache()

    def _less(self, allowed: int, error: torch.OutOfMemoryError) -> None:
        with self._changed:
            if allowed == 1:
                raise HistocerbError(
                    f"expected room for one window on {self.device}, found its memory full; end other "
                    "programs that use it, or choose --precision bf16 or another --device"
                ) from error
            if self.limit == allowed:  # not yet reduced by another thread
                self.limit = allowed // 2
                _LOG.warning("%s: out of memory; %d windows at a time now", self.device, self.limit)
