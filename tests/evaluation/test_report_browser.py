"""The report in a real browser: it renders, logs no error, and runs nothing."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from hanmo.evaluation.report import write_report

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--enable-logging=stderr",
    "--virtual-time-budget=2000",
]

pytestmark = pytest.mark.skipif(
    BROWSER is None, reason="no chromium on this machine: the page is not tried in a browser"
)


def visit(page: Path, profile: Path) -> tuple[str, list[str]]:
    """The document after scripts had their chance, and what the console said."""
    assert BROWSER is not None
    command = [BROWSER, *FLAGS, f"--user-data-dir={profile}", "--dump-dom", page.resolve().as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert "<html" in done.stdout, done.stderr[-2000:]
    return done.stdout, [line for line in done.stderr.splitlines() if ":CONSOLE" in line]


def title(document: str) -> str:
    found = re.search(r"<title>(.*?)</title>", document, re.DOTALL)
    assert found is not None
    return found[1]


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_it_renders_without_errors(make_run, tmp_path, lang):
    document, console = visit(write_report(make_run(lang), lang=lang), tmp_path / "profile")
    assert console == []
    assert title(document) == ("红楼水浒 · 训练报告" if lang == "zh" else "python-library · Training report")
    assert document.count("<svg") >= 5


def test_payloads_do_not_run(make_hostile_run, tmp_path):
    document, console = visit(write_report(make_hostile_run()), tmp_path / "profile")
    assert console == []
    assert title(document).endswith("· Training report")
    assert "<script" not in document
    assert "<iframe" not in document


def test_the_browser_would_have_run_them(payloads, tmp_path):
    page = tmp_path / "open.html"
    page.write_text(f"<title>calm</title>{payloads[0]}<script>console.error('said')</script>", encoding="utf-8")
    document, console = visit(page, tmp_path / "profile")
    assert title(document) == "pwned"
    assert len(console) == 1
