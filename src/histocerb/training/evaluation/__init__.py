"""How good a model is on annotated images: figures, reports, and comparison of models.

`evaluate` makes figures of any samples, `measure` the whole document of a model on splits of a store.
"""

from histocerb.training.evaluation.compare import compare
from histocerb.training.evaluation.evaluate import Predict, evaluate
from histocerb.training.evaluation.folds import over_folds
from histocerb.training.evaluation.measure import Choice, Measured, measure

__all__ = ["Choice", "Measured", "Predict", "compare", "evaluate", "measure", "over_folds"]
