"""Temperature and thresholds: against brute force, and what must never change."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from numpy.typing import NDArray

import hanmo
from hanmo.core.errors import ConfigError, ModelError
from hanmo.models.bert import BertConfig, bert
from hanmo.models.directory import write_model
from hanmo.models.settings import Calibration
from hanmo.tasks.calibration import calibration_error, fit_temperature, fit_thresholds, softened
from hanmo.tasks.text_classifier import TextClassifier
from hanmo.tokenizers.words import train_words

TEXTS = ["the film is fine", "房间很干净，服务很热情", "no", "a long and rather dull film, not fine at all"]


def overconfident(
    kind: Any, n: int = 400, seed: int = 0, heat: float = 4.0
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Scores that are `heat` times too large for the labels that were drawn from them."""
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(n, 3))
    if kind == "multi":
        return scores * heat, (rng.random((n, 3)) < softened(scores, 1.0, kind)).astype(np.int64)
    chances = softened(scores, 1.0, kind)
    return scores * heat, np.array([rng.choice(3, p=row) for row in chances])


def likelihood(scores: np.ndarray, targets: np.ndarray, kind: Any, temperature: float) -> float:
    p = softened(scores.astype(np.float64), temperature, kind)
    right = np.where(targets, p, 1 - p) if kind == "multi" else p[np.arange(len(p)), targets]
    return float(-np.log(np.maximum(right, 1e-300)).mean())


@pytest.mark.parametrize("kind", ["single", "multi"])
@pytest.mark.parametrize("heat", [0.3, 4.0])
def test_temperature_is_the_best_of_all(kind: Any, heat: float) -> None:
    scores, targets = overconfident(kind, heat=heat)
    found = fit_temperature(scores, targets, kind)
    others = np.geomspace(0.05, 20, 2000)
    best = others[np.argmin([likelihood(scores, targets, kind, one) for one in others])]
    assert found == pytest.approx(best, rel=0.01)
    assert found == pytest.approx(heat, rel=0.25)
    assert likelihood(scores, targets, kind, found) <= likelihood(scores, targets, kind, 1.0)
    assert (softened(scores, found, kind).argmax(1) == scores.argmax(1)).all()
    if heat == 4.0:
        before, after = (calibration_error(softened(scores, t, kind), targets, kind) for t in (1.0, found))
        assert after < 0.06 < before


def test_a_dev_set_without_errors_ends_at_the_border(capfd: pytest.CaptureFixture[str]) -> None:
    from hanmo.core.progress import set_quiet

    scores = np.eye(3)[[0, 1, 2]] * 3
    set_quiet(False)
    found = fit_temperature(scores, np.array([0, 1, 2]), "single")
    set_quiet(True)
    assert found == pytest.approx(0.05, rel=1e-6)
    assert "ends at the border" in capfd.readouterr().err
    assert np.isfinite(softened(scores * 1000, found, "single")).all()
    assert np.isfinite(softened(scores * -1000, found, "multi")).all()


def f1(told: np.ndarray, right: np.ndarray) -> float:
    return 2 * float((told & right).sum()) / max(1, int(told.sum() + right.sum()))


def test_thresholds_are_the_best_of_all() -> None:
    rng = np.random.default_rng(3)
    for _ in range(50):
        probabilities = rng.integers(1, 9, size=(12, 2)) / 9  # with ties
        targets = rng.integers(0, 2, size=(12, 2))
        for column, threshold in enumerate(fit_thresholds(probabilities, targets)):
            p, right = probabilities[:, column], targets[:, column] == 1
            if not right.any():
                assert threshold == 0.5
                continue
            others = [f1(p > border, right) for border in np.linspace(-0.01, 1, 300)]
            assert f1(p > threshold, right) == pytest.approx(max(others))


def test_a_half_stays_where_it_is_as_good() -> None:
    probabilities = np.array([[0.9], [0.8], [0.2], [0.1]])
    assert fit_thresholds(probabilities, np.array([[1], [1], [0], [0]])) == (0.5,)
    assert fit_thresholds(probabilities, np.array([[1], [0], [0], [0]])) == (pytest.approx(0.85),)
    assert fit_thresholds(probabilities, np.array([[0], [0], [0], [0]])) == (0.5,)


def write(folder: Path, calibration: Calibration | None, problem_type: str) -> Path:
    tokenizer = train_words(TEXTS, 100)
    torch.manual_seed(1)
    shape: dict[str, Any] = {"vocab_size": tokenizer.vocab_size, "d_model": 16, "n_layers": 1, "n_heads": 2}
    shape |= {"max_len": 64, "labels": ("A", "B", "丙"), "problem_type": problem_type}
    model = bert(BertConfig.model_validate(shape), "BertForSequenceClassification")
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.3)
    classifier = TextClassifier(model.eval(), tokenizer)
    if calibration is not None:
        classifier.calibration = calibration
    classifier.save(folder)
    return folder


def test_it_is_saved_with_the_model_and_used(tmp_path: Path) -> None:
    plain = write(tmp_path / "plain", None, "single_label_classification")
    warm = write(tmp_path / "warm", Calibration(temperature=2.5), "single_label_classification")
    assert "hanmo_calibration" not in (plain / "config.json").read_text()
    one, two = (hanmo.pipeline("text-classification", folder)(TEXTS, top_k=None) for folder in (plain, warm))
    for cold, hot in zip(one, two, strict=True):
        assert [answer["label"] for answer in cold] == [answer["label"] for answer in hot]
        wanted = np.array([answer["score"] for answer in cold]) ** (1 / 2.5)
        np.testing.assert_allclose([answer["score"] for answer in hot], wanted / wanted.sum(), rtol=1e-5)
    theirs: Any = transformers.pipeline("text-classification", str(warm), device="cpu")(TEXTS, top_k=None)
    assert [row[0]["score"] for row in theirs] == pytest.approx([row[0]["score"] for row in one], abs=1e-5)


def test_classes_that_apply(tmp_path: Path) -> None:
    folder = write(tmp_path / "m", Calibration(thresholds=(0.0, 1.0, 0.5)), "multi_label_classification")
    pipe = hanmo.pipeline("text-classification", folder)
    for text, applying in zip(TEXTS, pipe(TEXTS, applying=True), strict=True):
        scores = {answer["label"]: answer["score"] for answer in pipe(text, top_k=None)}
        names = [answer["label"] for answer in applying]
        assert "A" in names
        assert "B" not in names
        assert ("丙" in names) == (scores["丙"] > 0.5)
    assert pipe(TEXTS[0], applying=True) == pipe(TEXTS, applying=True)[0]
    with pytest.raises(ConfigError, match="both given"):
        pipe(TEXTS, applying=True, top_k=1)
    other = hanmo.pipeline("text-classification", write(tmp_path / "s", None, "single_label_classification"))
    with pytest.raises(ConfigError, match="one class a text"):
        other(TEXTS, applying=True)


def test_a_damaged_calibration_is_named(tmp_path: Path) -> None:
    folder = write(tmp_path / "m", Calibration(temperature=2.0), "single_label_classification")
    text = (folder / "config.json").read_text().replace('"temperature": 2.0', '"temperature": -1')
    (folder / "config.json").write_text(text)
    with pytest.raises(ModelError, match=r"calibration\.temperature = -1"):
        hanmo.load(folder)
    write_model(tmp_path / "again", hanmo.load(write(tmp_path / "n", Calibration(), "regression")).model)
