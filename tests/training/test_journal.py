from __future__ import annotations

import pytest

from hanmo.core.errors import MissingExtraError
from hanmo.training.journal import truncate_metrics

LINES = [
    '{"event": "语料"}\n',
    '{"step": 1, "loss": 2.0}\n',
    '{"step": 2, "loss": 1.5}\n',
    '{"step": 2, "eval": {"loss": 1.4}}\n',
    '{"step": 3, "loss": 1.2}\n',
]


@pytest.mark.parametrize(("step", "evaluated_at", "kept"), [(3, 2, 5), (2, 2, 4), (2, 0, 3), (1, -1, 2), (-1, -1, 1)])
def test_lines_after_the_checkpoint_are_dropped(tmp_path, step, evaluated_at, kept):
    file = tmp_path / "metrics.jsonl"
    file.write_text("".join(LINES), encoding="utf-8")
    truncate_metrics(file, step=step, evaluated_at=evaluated_at)
    assert file.read_text(encoding="utf-8") == "".join(LINES[:kept])


@pytest.mark.parametrize("torn", ['{"step": 3, "lo', '{"step": 3, "loss": 1.2}', "\x00\x00"])
def test_torn_last_line_is_dropped(tmp_path, torn):
    file = tmp_path / "metrics.jsonl"
    file.write_text("".join(LINES[:4]) + torn, encoding="utf-8")
    truncate_metrics(file, step=9, evaluated_at=9)
    assert file.read_text(encoding="utf-8") == "".join(LINES[:4])


def test_no_log_no_file(tmp_path):
    truncate_metrics(tmp_path / "metrics.jsonl", step=0, evaluated_at=0)
    assert not (tmp_path / "metrics.jsonl").exists()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tensorboard_gets_the_same_numbers(tiny, tmp_path):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    tiny.train(tmp_path, tensorboard=True)
    events = accumulator.EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert {"train/loss", "train/lr", "eval/loss"} <= set(events.Tags()["scalars"])
    assert [point.step for point in events.Scalars("train/loss")] == list(range(1, 13))
    assert [point.step for point in events.Scalars("eval/loss")] == [5, 10, 12]


def test_tensorboard_missing_names_the_extra(tiny, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "torch.utils.tensorboard", None)
    with pytest.raises(MissingExtraError, match=r"hanmo\[track\]"):
        tiny.train(tmp_path, tensorboard=True)
