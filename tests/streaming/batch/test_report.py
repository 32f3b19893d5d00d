"""The report is one page that loads nothing."""

from __future__ import annotations

import re
from pathlib import Path

from roadmask.streaming.batch.batch import BatchResult
from roadmask.streaming.batch.outcome import DriveOutcome
from roadmask.streaming.batch.report import report_page


def test_the_report_is_one_page_with_everything(done) -> None:
    _, _, result = done
    page = report_page(result)
    for outcome in result.outcomes:
        assert outcome.drive in page
    assert page.count("data:image/jpeg;base64,") == 3
    assert "is an empty file (0 bytes)" in page
    assert "3 of 5" in page
    assert page.count("<rect") == 3
    # nothing from elsewhere: no address, script, style sheet or font that would be fetched
    assert not re.search(r"https?:|//[a-z]|<script|<link|@import|url\(", page)


def test_the_report_escapes_names() -> None:
    outcome = DriveOutcome("<b>x", "failed", "<script>alert(1)</script>")
    page = report_page(BatchResult(Path("/o"), [outcome], 0.0, 1.0))
    assert "<script>" not in page
    assert "&lt;b&gt;x" in page
