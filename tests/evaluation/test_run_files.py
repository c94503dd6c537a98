"""Reading a run folder: whole, in part, damaged."""

from __future__ import annotations

import json

import pytest

from hanmo.core.errors import DataError, FormatError
from hanmo.core.machine import EnergyMeter
from hanmo.evaluation.corpus_record import CorpusRecord
from hanmo.evaluation.run_files import Energy, read_metrics, read_run


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_everything_is_read(make_run, lang):
    record = read_run(make_run(lang))
    assert record.name == ("红楼水浒" if lang == "zh" else "python-library")
    assert record.run.model is not None
    assert record.run.model.parameters == 2_614_272
    assert len(record.metrics.loss) == 400
    assert record.metrics.heldout_loss[-1][0] <= 400
    assert record.evaluation is not None
    assert record.evaluation.baselines["xz"] == 1.838
    assert len(record.samples) == 4


def test_corpus_keys_are_those_that_the_corpus_builder_writes(make_run):
    raw = json.loads((make_run() / "corpus" / "corpus.json").read_text(encoding="utf-8"))
    record = CorpusRecord.model_validate(raw)
    taken = set(CorpusRecord.model_fields)
    assert taken <= set(raw)
    assert all(getattr(record, name) is not None for name in taken)
    languages = record.languages()
    assert languages["en"].documents == 1388 - 3 + 29 - 3
    assert list(languages) == ["en", "und"]


def test_energy_is_what_the_meter_says():
    from dataclasses import asdict

    energy = EnergyMeter().read()
    record = Energy.model_validate(asdict(energy))
    assert record.kwh == energy.kwh
    assert record.is_measured() == energy.method.startswith("measured")
    assert Energy(method="measured (RAPL)").is_measured()
    assert not Energy(method="estimated (10 W)").is_measured()


def test_a_folder_without_a_run(tmp_path):
    with pytest.raises(DataError, match=r"run\.json"):
        read_run(tmp_path)


@pytest.mark.parametrize("missing", ["corpus/corpus.json", "evaluation.json", "samples.json", "metrics.jsonl"])
def test_missing_files_are_absent_not_errors(make_run, missing):
    record = read_run(make_run(leave_out=(missing,)))
    assert record.run.status == "finished"


@pytest.mark.parametrize("name", ["run.json", "corpus/corpus.json", "evaluation.json", "samples.json"])
@pytest.mark.parametrize("text", ['{"cut": ', "[1, 2", "\ufffd", ""])
def test_damaged_json_is_named(make_run, name, text):
    run = make_run()
    (run / name).write_text(text, encoding="utf-8")
    with pytest.raises(FormatError, match=name.rsplit("/", maxsplit=1)[-1]):
        read_run(run)


@pytest.mark.parametrize(
    ("name", "value", "key"),
    [
        ("run.json", {"model": {"parameters": "many"}}, r"model\.parameters"),
        ("run.json", [], "run.json"),
        ("run.json", {"stages": [{"name": "train"}]}, r"stages\.0\.seconds"),
        ("evaluation.json", {"baselines": {"xz": "small"}}, r"baselines\.xz"),
        ("samples.json", {"text": "x"}, "list"),
        ("samples.json", [{"text": 3}], "text"),
        ("corpus/corpus.json", {"train": {"documents": []}}, r"train\.documents"),
    ],
)
def test_wrong_types_are_named_with_their_key(make_run, name, value, key):
    run = make_run()
    (run / name).write_text(json.dumps(value), encoding="utf-8")
    with pytest.raises(FormatError, match=key):
        read_run(run)


def test_of_a_step_logged_twice_the_later_counts(tmp_path):
    file = tmp_path / "metrics.jsonl"
    events = [
        {"step": 1, "loss": 5.0},
        {"step": 2, "loss": 4.0},
        {"step": 2, "loss": 3.5},
        {"step": 2, "eval": {"loss": 3.6, "bits_per_byte": 1.5}},
    ]
    file.write_text("".join(json.dumps(event) + "\n" for event in events), encoding="utf-8")
    metrics = read_metrics(file)
    assert metrics.loss == [(1, 5.0), (2, 3.5)]
    assert metrics.heldout_loss == [(2, 3.6)]
    assert metrics.heldout_bits_per_byte == [(2, 1.5)]


def test_a_torn_last_line_is_dropped_and_a_torn_middle_line_refused(tmp_path):
    file = tmp_path / "metrics.jsonl"
    file.write_text('{"step": 1, "loss": 5.0}\n{"step": 2, "lo', encoding="utf-8")
    assert read_metrics(file).loss == [(1, 5.0)]
    file.write_text('{"step": 1, "loss": 5.0}\n{"step": 2, "lo\n{"step": 3, "loss": 4.0}\n', encoding="utf-8")
    with pytest.raises(FormatError, match=r"metrics\.jsonl:2"):
        read_metrics(file)


@pytest.mark.parametrize("line", ['{"loss": 1.0}', '{"step": 1, "loss": "low"}', "[1]", '{"step": true, "loss": "x"}'])
def test_lines_of_another_shape_are_refused(tmp_path, line):
    file = tmp_path / "metrics.jsonl"
    file.write_text(line + "\n", encoding="utf-8")
    with pytest.raises(FormatError, match=":1"):
        read_metrics(file)


def test_losses_that_are_not_finite_leave_a_gap(tmp_path):
    file = tmp_path / "metrics.jsonl"
    file.write_text('{"step": 1, "loss": null}\n{"step": 2, "loss": NaN}\n{"step": 3, "loss": 2.0}\n', encoding="utf-8")
    assert read_metrics(file).loss == [(3, 2.0)]
