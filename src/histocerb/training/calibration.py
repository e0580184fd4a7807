"""Temperatures that make a model's probabilities mean what they say, from validation images.

Of objects, the temperature of `class_prob` (see `postproc.calibrate`); of tissue cells, one that the last
layer takes up (Guo et al., "On calibration of modern neural networks", ICML 2017). Both minimise the negative
log likelihood of what is true, each data source counting the same.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp

from histocerb.core.samples import Sample
from histocerb.core.tasks import HeadKind, Task, TaskSpec
from histocerb.metrics.calibration import reliability
from histocerb.models.decoder import PatchDecoder
from histocerb.models.network import Network, module_name
from histocerb.postproc.calibrate import calibrated, share_logit, tempered
from histocerb.training.evaluation.evaluate import Compared, Predict, compared

log = logging.getLogger(__name__)

Float = npt.NDArray[np.float64]
Bool = npt.NDArray[np.bool_]

LEAST_WRONG = 10
"""Fewer wrong answers say too little about doubt: no temperature is fitted."""

_RANGE = (np.log(0.2), np.log(20.0))
"""Logarithms of the temperatures that are considered."""

_TINY = 1e-7


@dataclass(frozen=True)
class Told:
    """Objects of known class from one data source.

    Attributes:
        share: N, of an object's pixels that agreed on its class.
        right: N, whether it was the true class, or one of the true group.
    """

    share: Float
    right: Bool

    def likelihood(self, temperature: float) -> float:
        """Mean log likelihood with shares of that temperature."""
        probability = tempered(share_logit(self.share), temperature)
        return float(np.log(np.where(self.right, probability, 1 - probability)).mean())

    def ece(self, temperature: float) -> float:
        """Expected calibration error of `class_prob`."""
        return reliability(calibrated(self.share, temperature), self.right).ece


@dataclass(frozen=True)
class ToldPatches:
    """Patches of known class from one data source.

    Attributes:
        probabilities: N x C.
        truth: N class codes.
    """

    probabilities: Float
    truth: npt.NDArray[np.int64]

    @property
    def right(self) -> Bool:
        """N, whether the most probable class was the true one."""
        return np.asarray(self.probabilities.argmax(1) == self.truth)

    def likelihood(self, temperature: float) -> float:
        """Mean log likelihood with logits divided by that temperature."""
        return float(self._log(temperature)[np.arange(len(self.truth)), self.truth].mean())

    def ece(self, temperature: float) -> float:
        """Expected calibration error of the most probable class."""
        return reliability(np.exp(self._log(temperature)).max(1), self.right).ece

    def _log(self, temperature: float) -> Float:
        logits = np.log(np.maximum(self.probabilities, _TINY)) / temperature
        return np.asarray(logits - logsumexp(logits, axis=1, keepdims=True))


@dataclass(frozen=True)
class Fit:
    """A temperature, and the expected calibration error without and with it (mean over the data sources)."""

    temperature: float
    ece_before: float
    ece_after: float


def calibrate(network: Network, samples: Iterable[Sample], predict: Predict) -> dict[str, Fit]:
    """Give a network the temperatures that fit its answers to these samples.

    Args:
        network: changed in place: constants of its tasks, and the last layer of its patch head.
        samples: at the working resolution; not those that it was trained on.
        predict: the network.

    Returns:
        Per task; those with too few wrong answers (`LEAST_WRONG`) are missing and keep 1.
    """
    network.spec = _with_temperatures(network.spec, {})
    found = [one for sample in samples if (one := compared(sample, predict, network.spec)) is not None]
    fits = {task.name: fit_temperature(_told(found, task)) for task in network.spec.objects}
    patch = network.spec.patch
    if patch is not None:
        fits[patch.name] = fit_temperature(_told_patches(found))
    fitted = {name: fit for name, fit in fits.items() if fit is not None}
    network.spec = _with_temperatures(network.spec, fitted)
    if patch is not None and patch.name in fitted:
        _divide_logits(network, patch, fitted[patch.name].temperature)
    for name, fit in fitted.items():
        log.info(
            "temperature of %s: %.2f; calibration error %.3f, was %.3f",
            name,
            fit.temperature,
            fit.ece_after,
            fit.ece_before,
        )
    return fitted


def fit_temperature(sources: Sequence[Told] | Sequence[ToldPatches]) -> Fit | None:
    """The most likely temperature, or None where hardly anything was wrong.

    Args:
        sources: answers per data source.
    """
    if sum(int((~source.right).sum()) for source in sources) < LEAST_WRONG:
        return None

    def loss(log_temperature: float) -> float:
        return -float(np.mean([source.likelihood(float(np.exp(log_temperature))) for source in sources]))

    best = minimize_scalar(loss, bounds=_RANGE, method="bounded", options={"xatol": 1e-4})
    found = round(float(np.exp(best.x)), 3)
    before, after = (float(np.mean([source.ece(t) for source in sources])) for t in (1.0, found))
    return Fit(found, before, after)


def _told(images: Sequence[Compared], task: Task) -> list[Told]:
    answers: dict[str, list[tuple[float, bool]]] = defaultdict(list)
    for image in images:
        quality = image.qualities.get(task.name)
        if quality is None:
            continue
        for truth, row in quality.pairs:
            name, guess = quality.truth_classes.get(truth), quality.found_classes.get(row + 1)
            if name is not None and guess is not None:
                right = guess in task.groups.get(name, (name,))
                answers[image.source].append((float(quality.class_prob[row]), right))
    return [Told(np.array(own)[:, 0], np.array(own)[:, 1] > 0) for own in answers.values()]


def _told_patches(images: Sequence[Compared]) -> list[ToldPatches]:
    answers = defaultdict(list)
    for image in images:
        if image.patch is not None:
            answers[image.source].append(image.patch)
    return [
        ToldPatches(np.stack([one.probabilities for one in own]), np.array([one.truth for one in own]))
        for own in answers.values()
    ]


def _with_temperatures(spec: TaskSpec, fitted: dict[str, Fit]) -> TaskSpec:
    """The tasks with these temperatures of `class_prob`, 1 where there is none."""
    tasks = []
    for task in spec.tasks:
        if task.postproc is not None:
            value = fitted[task.name].temperature if task.name in fitted else 1.0
            task = replace(task, postproc=replace(task.postproc, class_temperature=value))
        tasks.append(task)
    return replace(spec, tasks=tuple(tasks))


def _divide_logits(network: Network, patch: Task, temperature: float) -> None:
    head = patch.head(HeadKind.PATCH)
    assert head is not None, "the patch task has a patch head"
    decoder = network.decoders[module_name(head.name)]
    assert isinstance(decoder, PatchDecoder), "and so has the network"
    with torch.no_grad():
        for parameter in decoder.conv2.parameters():
            parameter.div_(temperature)
