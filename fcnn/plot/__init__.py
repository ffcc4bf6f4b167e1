"""Pictures of data, models and runs, with matplotlib.

Every function returns a `matplotlib.figure.Figure`, made without pyplot: it is drawn where a
notebook shows it, and saved by ``figure.savefig("curves.png")``. ``pip install fcnn[plot]``
installs matplotlib, which is imported when a picture is drawn.
"""

# The files:
#
#   _figure        figures, colours and images that all have in common
#   _curves        learning curves
#   _confusion     confusion matrices
#   _mistakes      the worst mistakes
#   _maps          feature maps and filters
#   _attributions  attributions over their images

from fcnn.plot._attributions import attributions
from fcnn.plot._confusion import confusion_matrix
from fcnn.plot._curves import learning_curves
from fcnn.plot._maps import feature_maps, filters
from fcnn.plot._mistakes import worst_mistakes

__all__ = [
    "attributions",
    "confusion_matrix",
    "feature_maps",
    "filters",
    "learning_curves",
    "worst_mistakes",
]
