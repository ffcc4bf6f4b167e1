"""`Classifier`: a model that tells classes apart, as scikit-learn has it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fcnn.losses import softmax_cross_entropy
from fcnn.sklearn._estimator import Estimator

if TYPE_CHECKING:
    ClassifierMixin: Any = object
else:
    try:
        from sklearn.base import ClassifierMixin
    except ImportError:

        class ClassifierMixin:
            """Stands for scikit-learn's, where that is missing."""


class Classifier(ClassifierMixin, Estimator):  # type: ignore[misc]
    """Classify with a network, as an estimator of scikit-learn.

    Args:
        model: a layer that gives one score (logit) for each class; None for two hidden layers of
            64 on standardised features.
        loss: a loss of scores and labels; `fcnn.losses.softmax_cross_entropy` if None.
        optimizer: an optimizer; AdamW, its rate rising to 0.01 and falling to 0, if None.
        epochs: the number of passes over the data.
        batch_size: the number of examples in a batch.
        input_shape: the shape of one example for the model, such as (28, 28, 1) for rows of 784.
        random_state: the seed, or a RandomState that draws one.

    Attributes:
        classes_: the classes, sorted.
        model_: the model.
        params_: its params.
        history_: a `fcnn.train.Report` for each epoch.

    >>> import numpy as np
    >>> from fcnn.sklearn import Classifier
    >>> x = np.array([[0.0, 1.0], [1.0, 0.0]] * 10)
    >>> found = Classifier(epochs=20).fit(x, ["up", "down"] * 10)
    >>> found.predict(x[:2]).tolist()
    ['up', 'down']
    """

    def fit(self, x: Any, y: Any) -> Classifier:
        """Train on x (n, ...) and class labels y (n,).

        Raises:
            ValueError: if they do not fit together, or there is one class only.
        """
        from sklearn.utils.multiclass import check_classification_targets

        if y is None:
            raise ValueError("requires y to be passed, but the target y is None")
        x, y = self._checked(x, y)
        check_classification_targets(y)
        self.classes_, labels = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError("expected two classes or more, got one class; add examples of others")
        names = [str(name) for name in self.classes_]
        self._fit(x, labels, len(names), softmax_cross_entropy, names)
        return self

    def predict_proba(self, x: Any) -> Any:
        """Return the probability of each class, (n, classes)."""
        scores = self._outputs(x)
        chances = np.exp(scores - scores.max(axis=1, keepdims=True))
        return chances / chances.sum(axis=1, keepdims=True)

    def predict(self, x: Any) -> Any:
        """Return the most likely class of each example, (n,)."""
        scores = self._outputs(x)
        return self.classes_[scores.argmax(axis=1)]
