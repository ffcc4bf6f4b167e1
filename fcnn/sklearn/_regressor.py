"""`Regressor`: a model that estimates numbers, as scikit-learn has it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fcnn.losses import mean_squared_error
from fcnn.sklearn._estimator import Estimator, moments

if TYPE_CHECKING:
    RegressorMixin: Any = object
else:
    try:
        from sklearn.base import RegressorMixin
    except ImportError:

        class RegressorMixin:
            """Stands for scikit-learn's, where that is missing."""


class Regressor(RegressorMixin, Estimator):  # type: ignore[misc]
    """Estimate one number or several with a network, as an estimator of scikit-learn.

    Targets are standardised for training, predictions are in the targets' units.

    Args:
        model: a layer that gives one number for each target; None for two hidden layers of 64 on
            standardised features.
        loss: a loss; `fcnn.losses.mean_squared_error` if None.
        optimizer: see `Classifier`.
        epochs: the number of passes over the data.
        batch_size: the number of examples in a batch.
        input_shape: see `Classifier`.
        random_state: see `Classifier`.

    Attributes:
        model_: the model.
        params_: its params.
        history_: a `fcnn.train.Report` for each epoch.

    >>> import numpy as np
    >>> from fcnn.sklearn import Regressor
    >>> x = np.linspace(-1, 1, 64)[:, None]
    >>> found = Regressor(epochs=60).fit(x, 3 * x[:, 0] + 100)
    >>> bool(np.abs(found.predict(x) - 3 * x[:, 0] - 100).max() < 0.5)
    True
    """

    def __sklearn_tags__(self) -> Any:
        """Say that there may be several targets."""
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def fit(self, x: Any, y: Any) -> Regressor:
        """Train on x (n, ...) and targets y, (n,) or (n, k).

        Raises:
            ValueError: if they do not fit together.
        """
        if y is None:
            raise ValueError("requires y to be passed, but the target y is None")
        x, y = self._checked(x, y)
        y = y.astype(x.dtype)
        self._is_column = y.ndim == 1
        y = y.reshape(len(y), -1)
        self.target_mean_, self.target_scale_ = moments(y)
        scaled = ((y - self.target_mean_) / self.target_scale_).astype(x.dtype)
        self._fit(x, scaled, y.shape[1], mean_squared_error)
        return self

    def predict(self, x: Any) -> Any:
        """Return the estimates, of the shape that the targets had."""
        scores = self._outputs(x)
        found = (scores * self.target_scale_ + self.target_mean_).astype(scores.dtype)
        return found[:, 0] if self._is_column else found
