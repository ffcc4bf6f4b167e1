"""The report of a run: one HTML file without scripts, with every picture inside.

::

    _report      `report`: the sections in order
    _page        the frame: style, light and dark, narrow and wide
    _text        numbers and tables as HTML
    _chart       curves as inline SVG
    _png         pictures as data URIs
    _scores      predictions for a data set, a block of examples at a time
    _curves      sections: loss, metrics, learning rate, time
    _classes     sections: confusion matrix, classes, worst mistakes
    _regression  sections: predictions beside their targets, largest errors
    _inside      sections: filters, feature maps, saliency, the model's table
    _repeat      section: how to repeat the run
"""

from fcnn._report._report import report, write_report

__all__ = ["report", "write_report"]
