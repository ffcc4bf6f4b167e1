"""Models as estimators of scikit-learn: for pipelines, grid search and cross-validation.

Needs scikit-learn: ``pip install 'fcnn[sklearn]'``.
"""

#   _estimator   parameters and training, of both
#   _classifier  Classifier
#   _regressor   Regressor

from fcnn.sklearn._classifier import Classifier
from fcnn.sklearn._regressor import Regressor

__all__ = ["Classifier", "Regressor"]
