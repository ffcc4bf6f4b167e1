"""Models as estimators of scikit-learn: for pipelines, grid search and cross-validation.

Needs scikit-learn: ``pip install 'fcnn[sklearn]'``.
"""

from fcnn.sklearn._classifier import Classifier
from fcnn.sklearn._regressor import Regressor

__all__ = ["Classifier", "Regressor"]
