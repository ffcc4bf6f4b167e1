"""What both estimators share: their parameters, and training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fcnn import prng
from fcnn._evaluate import predict
from fcnn._layer import Layer
from fcnn.data import Dataset
from fcnn.layers.activations import relu
from fcnn.layers.combinators import serial
from fcnn.layers.dense import dense
from fcnn.layers.reshape import flatten
from fcnn.losses import Loss
from fcnn.optim import adamw, cosine, warmup
from fcnn.parallel import threads
from fcnn.train import fit

if TYPE_CHECKING:
    BaseEstimator: Any = object
else:
    try:
        from sklearn.base import BaseEstimator
    except ImportError:  # fcnn's names are listed without scikit-learn too

        class BaseEstimator:
            """Stands for scikit-learn's, where that is missing."""

            def __new__(cls, *args, **kwargs):
                """Raise an ImportError that names the extra."""
                raise ImportError(
                    "expected scikit-learn, got no such module; pip install 'fcnn[sklearn]'"
                )


class Estimator(BaseEstimator):  # type: ignore[misc]
    """A model with how it is trained."""

    def __init__(
        self,
        model: Any = None,
        *,
        loss: Any = None,
        optimizer: Any = None,
        epochs: int = 30,
        batch_size: int = 32,
        input_shape: tuple[int, ...] | None = None,
        random_state: Any = 0,
    ) -> None:
        self.model = model
        self.loss = loss
        self.optimizer = optimizer
        self.epochs = epochs
        self.batch_size = batch_size
        self.input_shape = input_shape
        self.random_state = random_state

    def _checked(self, x: Any, y: Any = "no_validation") -> tuple[Any, Any]:
        """Return arrays that scikit-learn has checked, x in float32 or float64."""
        from sklearn.utils.validation import validate_data

        options: Any = {"dtype": [np.float32, np.float64], "allow_nd": True}
        if isinstance(y, str):
            return validate_data(self, x, reset=False, **options), None
        multi = bool(self.__sklearn_tags__().target_tags.multi_output)
        checked: tuple[Any, Any] = validate_data(self, x, y, multi_output=multi, **options)
        return checked

    def _fit(self, x: Any, targets: Any, outputs: int, loss: Loss, classes: Any = ()) -> None:
        """Train; where there is no model of the caller's, features are standardised."""
        from sklearn.utils import check_random_state

        mean, scale = moments(x) if self.model is None else (0.0, 1.0)
        self.input_mean_, self.input_scale_ = mean, scale
        self._dtype = x.dtype
        inputs = self._shaped(x)
        model = hidden_layers(outputs) if self.model is None else self.model
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        steps = self.epochs * -(-len(inputs) // self.batch_size)
        rise = min(steps // 6 + 1, steps - 1)
        rate = warmup(rise, cosine(0.01, steps - rise)) if rise else 0.01
        with threads(1) as executor:  # scikit-learn's n_jobs has the cores
            run = fit(
                model,
                self.loss or loss,
                self.optimizer or adamw(rate),
                Dataset(inputs, targets, classes),
                key=prng.key(seed),
                epochs=self.epochs,
                batch_size=self.batch_size,
                executor=executor,
                log=None,
            )
        self.model_: Layer = model
        self.params_ = run.params
        self.history_ = run.history
        self.n_iter_ = len(run.history)

    def _outputs(self, x: Any) -> Any:
        """Return what the model makes of x."""
        from sklearn.utils.validation import check_is_fitted

        check_is_fitted(self)
        return predict(self.model_, self.params_, self._shaped(self._checked(x)[0]))

    def _shaped(self, x: Any) -> Any:
        x = ((x - self.input_mean_) / self.input_scale_).astype(self._dtype, copy=False)
        return x if self.input_shape is None else x.reshape(len(x), *self.input_shape)


def hidden_layers(outputs: int) -> Layer:
    """Return two hidden layers of 64."""
    return serial(flatten, dense(64), relu, dense(64), relu, dense(outputs))


def moments(x: Any) -> tuple[Any, Any]:
    """Return mean and standard deviation of each column, 1 for those that are constant."""
    mean, scale = x.mean(axis=0, dtype=np.float64), x.std(axis=0, dtype=np.float64)
    return mean, np.where(scale > 1e-12 * np.maximum(1, np.abs(mean)), scale, 1.0)
