"""How well the cells of each class are counted: the coefficient of determination, as CoNIC ranks it.

Graham et al., "CoNIC challenge: pushing the frontiers of nuclear detection, segmentation, classification and
counting", Medical Image Analysis 2024.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from histocerb.metrics.segmentation import Classes, ClassScores


def count_table(images: Sequence[Classes], classes: Sequence[str]) -> npt.NDArray[np.int64]:
    """Objects of each class in each image.

    Args:
        images: Class name per object id, for N images; other classes than those wanted count nowhere.
        classes: C names.

    Returns:
        N x C counts.
    """
    found = [Counter(image.values()) for image in images]
    table = [[counts[name] for name in classes] for counts in found]
    return np.array(table, np.int64).reshape(len(images), len(classes))


def r2_of_counts(
    truth: npt.NDArray[np.number], pred: npt.NDArray[np.number], classes: Sequence[str]
) -> ClassScores:
    """Coefficient of determination over images, for each class; its mean is the multi-class R2 of CoNIC.

    1 is perfect, 0 as good as the mean count, below 0 worse. A class with the same true count in all images
    has no spread to explain: nan.

    Args:
        truth: N x C counts.
        pred: N x C counts.
        classes: C names.

    Raises:
        ValueError: A table is not N x C.
    """
    if not truth.shape == pred.shape == (len(truth), len(classes)):
        raise ValueError(
            f"expected two tables of N x {len(classes)} counts, found {truth.shape} and {pred.shape}"
        )
    if len(truth) == 0:
        return ClassScores(tuple(classes), (float("nan"),) * len(classes))
    expected = truth.astype(np.float64)
    missed = ((expected - pred) ** 2).sum(0)
    spread = ((expected - expected.mean(0)) ** 2).sum(0)
    is_constant = (truth == truth[0]).all(0)
    values = 1 - missed / np.where(is_constant, np.nan, spread)
    return ClassScores(tuple(classes), tuple(float(value) for value in values))
