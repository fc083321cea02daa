"""Writes the report and the card of a model."""

from __future__ import annotations

from pathlib import Path

from trainer.reporting.card import card
from trainer.reporting.content import ReportContent, Written
from trainer.reporting.page import page

REPORT, CARD = "report.html", "card.md"


def write_report(content: ReportContent, folder: Path) -> Written:
    """Write a page and a model card into `folder`; the same content gives the same bytes.

    A test image that can't be read is left out and named in the page.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = Written(folder / REPORT, folder / CARD)
    written.report.write_text(page(content), encoding="utf-8")
    written.card.write_text(card(content), encoding="utf-8")
    return written
