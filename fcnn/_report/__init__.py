"""The report of a run: one HTML file without scripts, with every picture inside."""

from fcnn._report._report import report, write_report

__all__ = ["report", "write_report"]
