"""What a person reads about a model: one page to look at, and a card to file."""

from trainer.reporting.content import ReportContent, Written
from trainer.reporting.writing import write_report

__all__ = ["ReportContent", "Written", "write_report"]
