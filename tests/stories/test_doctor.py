"""What `hanmo doctor` finds."""

from __future__ import annotations

import json

import pytest

from hanmo.stories.doctor import examine


def test_findings() -> None:
    findings = examine()
    values = json.loads(json.dumps(findings.to_dict()))
    assert values["versions"]["torch"] != "not installed"
    assert values["threads"] >= 1
    text = findings.describe()
    for word in ("Versions", "Machine", "torch", "Extras", "Recommendations", findings.compute["precision"]):
        assert word in text


def test_what_is_missing_is_recommended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hanmo.stories.doctor.has_cpp_compiler", lambda: False)
    monkeypatch.setattr("hanmo.stories.doctor._extras", lambda: {"track": {"tensorboard": False}})
    findings = examine()
    assert any("g++" in advice for advice in findings.recommendations)
    assert any("hanmo[track]" in advice for advice in findings.recommendations)
    assert "missing tensorboard" in findings.describe()
