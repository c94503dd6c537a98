"""Several runs of one recipe: seeds, folds, a curve, a search; resumed, summed up, and told on one page."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from hanmo.core.errors import ConfigError, DataError, TrainingError
from hanmo.core.progress import set_quiet
from hanmo.core.toml import to_toml
from hanmo.evaluation.study_report import write_study_report
from hanmo.metrics import mean_of
from hanmo.models.bert import BertConfig, bert
from hanmo.models.directory import write_model
from hanmo.stories.classification_recipe import ClassificationRecipe
from hanmo.stories.judge import evaluate
from hanmo.stories.soup import make_soup
from hanmo.stories.study import StudyResult, changed_recipe
from hanmo.stories.study_recipe import StudySection
from hanmo.stories.tagging_recipe import TaggingRecipe
from hanmo.stories.task_story import Judged, TaskStory
from hanmo.stories.train import plan, train
from hanmo.tasks.figures import Figures
from hanmo.tokenizers.words import train_words

GOOD = ["the room was lovely", "房间很干净", "a fine and funny film", "服务很热情", "well worth the trip"]
BAD = ["the room was dirty", "房间太小", "a dull and noisy film", "服务很差", "not worth the money"]


def examples(n: int, seed: int) -> list[dict[str, Any]]:
    draw = random.Random(seed)
    return [
        {"text": f"{draw.choice(BAD if number % 2 else GOOD)} {draw.randrange(10**6)}", "label": "好差"[number % 2]}
        for number in range(n)
    ]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("labelled")
    for seed, (name, n) in enumerate({"train": 60, "dev": 20, "test": 20}.items()):
        lines = [json.dumps(row, ensure_ascii=False) for row in examples(n, seed)]
        (folder / f"{name}.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return folder


def recipe(folder: Path, **more: Any) -> ClassificationRecipe:
    values: dict[str, Any] = {
        "data": {name: str(folder / f"{name}.jsonl") for name in ("train", "dev", "test")},
        "model": {"encoder": "cnn", "d_embedding": 8, "d_hidden": 4, "dropout": 0.1},
        "batch_size": 10,
        "training": {"epochs": 2, "lr": 1e-2, "checkpoint_seconds": None},
    }
    return ClassificationRecipe.model_validate(values | more)


def read(file: Path) -> Any:
    return json.loads(file.read_text(encoding="utf-8"))


# -- what is planned -------------------------------------------------------------------------------------------------


def test_plans() -> None:
    names = [trial.name for trial in StudySection(seeds=3).plan(7)]
    assert names == ["seed-7", "seed-8", "seed-9"]
    curve = StudySection(fractions=(0.1, 1.0), folds=2).plan(0)
    assert [(trial.name, trial.group) for trial in curve] == [
        ("share-0.1-fold-1", 0), ("share-0.1-fold-2", 0), ("share-1-fold-1", 1), ("share-1-fold-2", 1),
    ]  # fmt: skip
    assert curve[3].changes == {"share": 1.0, "data.fold": (2, 2)}
    whole = StudySection.model_validate({"search": {"training": {"lr": [1, 2]}, "model.d_hidden": [3, 4, 5]}})
    grid = [tuple(trial.choice.values()) for trial in whole.plan(0)]
    assert grid == [(1, 3), (1, 4), (1, 5), (2, 3), (2, 4), (2, 5)]
    assert list(whole.plan(0)[0].choice) == ["training.lr", "model.d_hidden"]
    some = whole.model_copy(update={"trials": 4})
    drawn = [tuple(trial.choice.values()) for trial in some.plan(1)]
    assert len(set(drawn)) == 4
    assert set(drawn) < set(grid)
    assert drawn == [tuple(trial.choice.values()) for trial in some.plan(1)]
    assert any(drawn != [tuple(trial.choice.values()) for trial in some.plan(seed)] for seed in range(2, 9))


@pytest.mark.parametrize(
    ("section", "match"),
    [
        ({}, "a study needs seeds, folds, fractions or search"),
        ({"seeds": 3, "folds": 3}, "seeds and folds both repeat"),
        ({"fractions": [0.5, 1.0], "search": {"training.lr": [1, 2]}}, "two questions"),
        ({"seeds": 2, "trials": 3}, "give search"),
        ({"fractions": [1.0, 0.5]}, "each larger than the one before"),
        ({"fractions": [1.0]}, "one share is no curve"),
        ({"fractions": [0.5, 1.5]}, "at most at 1"),
        ({"search": {"training.lr": []}}, "needs values"),
        ({"search": {"training.lr": [1, 1]}}, "differ from each other"),
        ({"search": {"data.test": ["a", "b"]}}, "cannot be searched"),
        ({"search": {"seed": [1, 2]}}, "cannot be searched"),
        ({"search": {f"training.k{n}": [1, 2, 3, 4] for n in range(6)}}, "trials = 20"),
        ({"seeds": 1}, "greater than or equal to 2"),
    ],
)
def test_impossible_studies(section: dict[str, Any], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        StudySection.model_validate(section)


def test_a_wrong_change_is_named_before_the_first_run(data: Path, tmp_path: Path) -> None:
    settings = recipe(data, study={"search": {"training.lr": [1e-3, -1.0]}})
    with pytest.raises(ConfigError, match=r"\[study\] trial-2 \(training.lr = -1.0\).*greater than 0"):
        train(settings, out=tmp_path / "run")
    assert not (tmp_path / "run" / "runs").exists()
    with pytest.raises(ConfigError, match=r"unknown key 'training\.rl'"):
        plan(recipe(data, study={"search": {"training.rl": [1, 2]}}))
    for key in ("batch_size.x", "name.x.y"):
        with pytest.raises(
            ConfigError, match=rf"'{key.partition('.')[0]}' is no section, and has no '{key.partition('.')[2]}'"
        ):
            plan(recipe(data, batch_size=8, study={"search": {key: [1, 2]}}))
    shown = plan(recipe(data, study={"seeds": 2}))
    assert shown.rstrip().endswith("a study of 2 runs:\n  seed-0: seed = 0\n  seed-1: seed = 1")


def test_changes_keep_what_sections_say_by_default(data: Path) -> None:
    plain = ClassificationRecipe.model_validate({"data": {"train": str(data / "train.jsonl")}})
    trial = StudySection(search={"training.schedule.warmup_fraction": (0.2, 0.3)}).plan(0)[1]
    changed = changed_recipe(plain, trial)
    assert changed.training.epochs == plain.training.epochs
    schedule = changed.training.schedule
    assert (schedule.warmup_fraction, schedule.final_fraction) == (0.3, plain.training.schedule.final_fraction)
    assert (changed.name, changed.study) == ("classifier.trial-2", None)


# -- seeds -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def seeds(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(recipe(data, study={"seeds": 3}), out=tmp_path_factory.mktemp("study") / "seeds").run


def test_seeds_are_summed_up(seeds: Path) -> None:
    evaluation = read(seeds / "evaluation.json")
    (group,) = evaluation["groups"]
    assert group["runs"] == ["runs/seed-0", "runs/seed-1", "runs/seed-2"]
    for split in ("dev", "test"):
        for name, one in group["figures"][split].items():
            values = [read(seeds / run / "evaluation.json")[split]["scores"][name] for run in group["runs"]]
            assert one["values"] == values
            assert one["mean"] == pytest.approx(mean(values))
            assert one["sd"] == pytest.approx(stdev(values))
    assert evaluation["by"] == "accuracy"
    best = [read(seeds / run / "evaluation.json")["dev"]["scores"]["accuracy"] for run in group["runs"]]
    assert evaluation["best_run"] == group["runs"][best.index(max(best))]
    weights = {(seeds / run / "model" / "model.safetensors").read_bytes() for run in group["runs"]}
    assert len(weights) == 3
    assert not list(seeds.rglob("checkpoints"))
    assert read(seeds / "run.json")["status"] == "finished"


def test_a_run_of_a_study_is_a_run(seeds: Path, data: Path, tmp_path: Path) -> None:
    alone = train(recipe(data, seed=1), out=tmp_path / "alone").run
    inside = seeds / "runs" / "seed-1"
    assert (inside / "model/model.safetensors").read_bytes() == (alone / "model/model.safetensors").read_bytes()
    assert (inside / "evaluation.json").read_bytes() == (alone / "evaluation.json").read_bytes()
    assert (inside / "report.html").exists()


def test_a_stopped_study_goes_on(
    seeds: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    settings, out = recipe(data, study={"seeds": 3}), tmp_path / "run"
    tell = TaskStory.tell

    def stop(self: TaskStory) -> Any:
        if self.recipe.seed == 1:
            raise KeyboardInterrupt
        return tell(self)

    monkeypatch.setattr(TaskStory, "tell", stop)
    set_quiet(False)
    with pytest.raises(KeyboardInterrupt):
        train(settings, out=out)
    set_quiet(True)
    monkeypatch.undo()
    said = capfd.readouterr().err
    assert f"--out {out} --resume" in said
    assert "runs/seed-1 --resume" not in said
    assert read(out / "run.json")["status"] == "interrupted"
    first = (out / "runs/seed-0/run.json").stat().st_mtime_ns
    result = train(settings, out=out, resume=True)
    assert (out / "runs/seed-0/run.json").stat().st_mtime_ns == first
    for run in ("seed-0", "seed-1", "seed-2"):
        model = f"runs/{run}/model/model.safetensors"
        assert (out / model).read_bytes() == (seeds / model).read_bytes()
    assert isinstance(result, StudyResult)
    again = train(settings, out=out, resume=True)
    assert again.evaluation == result.evaluation
    assert again.summary() == result.summary()
    with pytest.raises(ConfigError, match=r"study.seeds: 3 -> 4"):
        train(recipe(data, study={"seeds": 4}), out=out, resume=True)


def test_a_signal_stops_the_study(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import os
    import signal

    from hanmo.tasks import text_figures

    glance = text_figures.glance

    def stop(*arguments: Any, **options: Any) -> Any:
        os.kill(os.getpid(), signal.SIGTERM)
        return glance(*arguments, **options)

    monkeypatch.setattr(text_figures, "glance", stop)
    result = train(recipe(data, study={"seeds": 2}), out=tmp_path / "run")
    monkeypatch.undo()
    assert (result.status, result.stopped_by) == ("stopped", "SIGTERM")
    assert not (tmp_path / "run/runs/seed-1").exists()
    assert "go on with the same command" in result.summary()
    assert train(recipe(data, study={"seeds": 2}), out=tmp_path / "run", resume=True).status == "finished"


# -- folds -----------------------------------------------------------------------------------------------------------


def test_folds_take_turns(data: Path, tmp_path: Path) -> None:
    run = train(recipe(data, study={"folds": 4}), out=tmp_path / "run").run
    seen: list[str] = []
    for part in range(1, 5):
        lines = (run / f"runs/fold-{part}/predictions.jsonl").read_text(encoding="utf-8").splitlines()
        rows = [row for row in map(json.loads, lines) if row["split"] == "dev"]
        assert sorted(row["label"] for row in rows) == ["好"] * 10 + ["差"] * 10  # as in the whole
        seen += [row["where"] for row in rows]
        assert read(run / f"runs/fold-{part}/run.json")["data"]["examples"] == {"train": 60, "dev": 20, "test": 20}
    assert len(set(seen)) == len(seen) == 80  # train and dev together, each once


def test_doubles_stay_in_one_fold(tmp_path: Path) -> None:
    from hanmo.tasks.text_examples import TextData, read_splits

    rows = [row | {"text": f"{row['text']} {copy * ' '}"} for row in examples(15, 0) for copy in (0, 1)]
    (tmp_path / "train.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    for part in (1, 2, 3):
        splits = read_splits(TextData(train=str(tmp_path / "train.jsonl"), fold=(part, 3)), seed=0)
        texts = {example.text.strip() for example in splits.train}
        assert texts.isdisjoint(example.text.strip() for example in splits.dev)
        assert len(splits.dev) == 10
    with pytest.raises(DataError, match="15 different examples cannot be cut into 16 folds"):
        read_splits(TextData(train=str(tmp_path / "train.jsonl"), fold=(1, 16)), seed=0)
    with pytest.raises(ValueError, match="give the part, from 1"):
        TextData(train=str(tmp_path / "train.jsonl"), fold=(0, 3))


# -- curve -----------------------------------------------------------------------------------------------------------


def tagged(folder: Path) -> Path:
    for seed, (name, n) in enumerate({"train": 40, "test": 12}.items()):
        draw = random.Random(seed)
        sentences = []
        for _ in range(n):
            person, place = draw.choice(["李白", "张三丰"]), draw.choice(["北京", "上海"])
            tags = [(person, "PER"), ("去了", None), (place, "LOC"), (str(draw.randrange(10**6)), None)]
            lines = [
                f"{sign} {'O' if kind is None else ('I-' if number else 'B-') + kind}"
                for text, kind in tags
                for number, sign in enumerate(text)
            ]
            sentences.append("\n".join(lines))
        (folder / f"{name}.txt").write_text("\n\n".join(sentences), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def curve(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tagged(tmp_path_factory.mktemp("tagged"))
    values = {
        "data": {"train": str(folder / "train.txt"), "test": str(folder / "test.txt"), "scheme": "IOB2"},
        "model": {"d_embedding": 8, "d_hidden": 6, "min_count": 1},
        "training": {"n_steps": 6, "lr": 2e-2, "checkpoint_seconds": None},
        "study": {"fractions": [0.1, 0.5, 1.0], "seeds": 2},
        "lang": "zh",
    }
    return train(TaggingRecipe.model_validate(values), out=folder / "run").run


def test_a_curve_of_a_tagger(curve: Path) -> None:
    evaluation = read(curve / "evaluation.json")
    assert [group["n_examples"] for group in evaluation["groups"]] == [4, 18, 36]
    assert [len(group["runs"]) for group in evaluation["groups"]] == [2, 2, 2]
    assert evaluation["by"] == "f1"
    assert evaluation["chosen"] is None
    labels = {tuple(read(curve / group["runs"][0] / "run.json")["data"]["labels"]) for group in evaluation["groups"]}
    assert len(labels) == 1  # of all examples, however few are learned from
    page = (curve / "report.html").read_text(encoding="utf-8")
    assert "再多标一些数据有用吗？" in page
    assert 'class="plot tall"' in page
    assert "训练样本从 18 条增加到 36 条" in page


def test_shares_are_parts_of_each_other(data: Path) -> None:
    from hanmo.tasks.text_examples import read_splits

    splits = read_splits(recipe(data).data, seed=0)
    parts = [{example.where for example in splits.with_share(share, 3).train} for share in (0.1, 0.5, 1.0)]
    assert parts[0] < parts[1] < parts[2]
    assert [len(part) for part in parts] == [6, 30, 60]
    assert {example.where for example in splits.with_share(0.1, 4).train} != parts[0]


# -- search ----------------------------------------------------------------------------------------------------------


LONGER = {"epochs": 5, "lr": 3e-2, "checkpoint_seconds": None}


@pytest.fixture(scope="module")
def search(data: Path, tmp_path_factory: pytest.TempPathFactory) -> StudyResult:
    asked = {"search": {"training.lr": [1e-6, 3e-2, 1e30], "model.d_hidden": [4]}, "by": "macro_f1"}
    found = train(recipe(data, study=asked, training=LONGER), out=tmp_path_factory.mktemp("study") / "search")
    assert isinstance(found, StudyResult)
    return found


def test_a_search_chooses_by_dev_and_looks_at_test_once(search: StudyResult) -> None:
    evaluation = search.evaluation
    figures = [group["figures"].get("dev", {}).get("macro_f1", {}).get("mean", -1) for group in evaluation["groups"]]
    assert evaluation["chosen"] == 1 == figures.index(max(figures))
    assert ["test" in group["figures"] for group in evaluation["groups"]] == [False, True, False]
    for number in (1, 2):
        own = read(search.run / f"runs/trial-{number}/evaluation.json")
        assert ("test" in own) == (number == 2)
    lines = (search.run / "runs/trial-2/predictions.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["split"] for line in lines] == ["dev"] * 20 + ["test"] * 20
    assert search.model == search.run / "runs/trial-2/model"
    assert "--set training.lr=0.03 --set model.d_hidden=4" in search.summary()


def test_the_late_look_is_the_same_as_one_at_once(search: StudyResult, data: Path, tmp_path: Path) -> None:
    alone = train(recipe(data, training=LONGER), out=tmp_path / "alone")  # what trial 2 chose is what the recipe says
    assert read(search.run / "runs/trial-2/evaluation.json") == alone.evaluation


def test_what_cannot_be_trained_is_left_out_and_named(search: StudyResult, data: Path, tmp_path: Path) -> None:
    group = search.evaluation["groups"][2]
    assert group["runs"] == []
    assert "loss nan" in group["failed"]
    page = search.report.read_text(encoding="utf-8")
    assert "1 combinations could not be trained" in page
    with pytest.raises(TrainingError, match="no combination could be trained"):
        train(recipe(data, study={"search": {"training.lr": [1e29, 1e30]}}), out=tmp_path / "run")


def test_the_figure_that_decides_exists(data: Path, tmp_path: Path) -> None:
    asked = {"search": {"training.lr": [1e-3, 1e-2]}, "by": "bleu"}
    with pytest.raises(ConfigError, match=r"there is no figure 'bleu'.*This task has accuracy, macro_f1"):
        train(recipe(data, study=asked), out=tmp_path / "run")


# -- soup ------------------------------------------------------------------------------------------------------------


def _weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def _bert(folder: Path, texts: list[str]) -> Path:
    tokenizer = train_words(texts, 200)
    torch.manual_seed(0)
    shape = {"vocab_size": tokenizer.vocab_size, "d_model": 16, "n_layers": 1, "n_heads": 2, "d_ff": 24, "max_len": 32}
    write_model(folder, bert(BertConfig.model_validate(shape), "BertForMaskedLM"))
    tokenizer.save(folder)
    return folder


@pytest.fixture(scope="module")
def soup(data: Path, tmp_path_factory: pytest.TempPathFactory) -> StudyResult:
    folder = tmp_path_factory.mktemp("soup")
    model = {"checkpoint": str(_bert(folder / "bert", [row["text"] for row in examples(60, 0)]))}
    asked = {"seeds": 3, "soup": True, "by": "accuracy"}
    result = train(recipe(data, model=model, study=asked, training={"epochs": 1, "lr": 3e-3}), out=folder / "run")
    assert isinstance(result, StudyResult)
    return result


def test_a_soup_is_the_mean_of_its_runs(soup: StudyResult, data: Path) -> None:
    made = soup.evaluation["soup"]
    runs = [soup.run / run / "model" for run in made["runs"]]
    mean = _weights(soup.model)
    assert soup.model == soup.run / "model"
    for name, tensor in mean.items():
        each = torch.stack([_weights(run)[name].double() for run in runs])
        assert torch.equal(tensor, each.mean(0).float())
    # the best on dev is in it, and with all that are in it dev is no worse than with the best alone
    values = {run: read(soup.run / "runs" / run / "evaluation.json")["dev"]["scores"]["accuracy"] for run in
              (f"seed-{number}" for number in range(3))}  # fmt: skip
    assert values[made["runs"][0].rpartition("/")[2]] == max(values.values())
    assert made["figures"]["dev"]["scores"]["accuracy"] >= max(values.values())
    assert evaluate(soup.run).figures == made["figures"]["test"]
    told = [json.loads(line) for line in (soup.run / "predictions.jsonl").read_text().splitlines()]
    assert len(told) == 40
    assert "soup of seed-" in soup.summary()


def test_a_run_that_makes_dev_worse_is_left_out(
    soup: StudyResult, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = ClassificationRecipe.model_validate(read(soup.run / "run.json")["recipe"] | {"study": None}).work()
    runs = [soup.run / "runs" / f"seed-{number}" for number in range(3)]
    told = iter([0.5, 0.4, 0.5])
    judge = type(work).judge

    def scripted(self: Any, model: Any, splits: Any, name: str) -> Any:
        judged = judge(self, model, splits, name)
        metrics = {"accuracy": mean_of([next(told)], "accuracy")}
        return Judged(figures=Figures(n=1, metrics=metrics), records=judged.records)

    monkeypatch.setattr(type(work), "judge", scripted)
    made = make_soup(work, work.examples(), runs, by="accuracy", lower_is_better=False)
    assert made.runs == (runs[0], runs[2])
    made.model.save(tmp_path / "made")
    one, two, both = (_weights(place) for place in (runs[0] / "model", runs[2] / "model", tmp_path / "made"))
    assert all(torch.equal(both[name], ((one[name].double() + two[name].double()) / 2).float()) for name in one)
    other = tmp_path / "other"
    shutil.copytree(runs[1], other)
    _bert(tmp_path / "bert", ["other words", "别的字"])
    for file in ("tokenizer.json", "tokenizer_config.json"):
        (other / "model" / file).write_bytes((tmp_path / "bert" / file).read_bytes())
    told = iter([0.5, 0.5])
    with pytest.raises(ConfigError, match="differ in shape or tokenizer"):
        make_soup(work, work.examples(), [runs[0], other], by="accuracy", lower_is_better=False)


def test_a_soup_may_be_asked_for_later(soup: StudyResult, data: Path, tmp_path: Path) -> None:
    values = read(soup.run / "run.json")["recipe"]
    without = ClassificationRecipe.model_validate(values | {"study": {"seeds": 3}})
    first = train(without, out=tmp_path / "run")
    assert not (tmp_path / "run/model").exists()
    weights = [path.stat().st_mtime_ns for path in sorted((tmp_path / "run/runs").glob("*/model/model.safetensors"))]
    later = train(ClassificationRecipe.model_validate(values), out=tmp_path / "run", resume=True)
    assert later.evaluation["soup"] == soup.evaluation["soup"]
    assert later.evaluation["groups"][0]["figures"] == first.evaluation["groups"][0]["figures"]
    again = [path.stat().st_mtime_ns for path in sorted((tmp_path / "run/runs").glob("*/model/model.safetensors"))]
    assert again == weights


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_a_soup_on_the_page(soup: StudyResult, lang: Any) -> None:
    page = write_study_report(soup.run, lang=lang).read_text(encoding="utf-8")
    assert ("权重均值" if lang == "zh" else "mean of the weights of") in page


def test_what_cannot_be_a_soup(data: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"only runs that train all of one model\.checkpoint"):
        recipe(data, study={"seeds": 2, "soup": True})
    model = {"checkpoint": str(tmp_path)}
    with pytest.raises(ValueError, match=r"give data\.dev"):
        recipe(data, data={"train": str(data / "train.jsonl")}, model=model, study={"seeds": 2, "soup": True})
    with pytest.raises(ValueError, match="not of folds"):
        recipe(data, model=model, study={"folds": 2, "soup": True})


# -- page and command line -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_pages(seeds: Path, curve: Path, search: StudyResult, lang: Any, tmp_path: Path) -> None:
    from hanmo.evaluation.study_files import read_study
    from hanmo.evaluation.study_report import study_page

    for run in (seeds, curve, search.run):
        page = study_page(read_study(run), lang=lang)
        assert page.count("<circle") >= 2
        assert "<script" not in page
        assert "http" not in page.replace('xmlns="http://www.w3.org/2000/svg"', "").replace("http-equiv", "").replace(
            "http%3A//www.w3.org/2000/svg", ""
        )
    assert ("运气" in study_page(read_study(seeds), lang=lang)) == (lang == "zh")
    with pytest.raises(ConfigError, match="there is no report in 'fr'"):
        write_study_report(seeds, lang="fr")  # pyright: ignore[reportArgumentType]


def test_an_unfinished_study_has_a_page(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(json.dumps({"name": "x", "status": "failed", "recipe": {"study": {"seeds": 2}}}))
    assert "This run failed" in write_study_report(tmp_path).read_text(encoding="utf-8")


def test_from_the_command_line(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from hanmo.cli.app import main

    file, out = tmp_path / "recipe.toml", tmp_path / "run"
    file.write_text(
        to_toml({"task": "text-classification"} | recipe(data).model_dump(mode="json", exclude_unset=True)),
        encoding="utf-8",
    )
    assert main(["train", str(file), "--set", "study.seeds=2", "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "2 runs, all in" in printed
    assert " ± " in printed
    (out / "report.html").unlink()
    assert main(["report", str(out), "--lang", "zh"]) == 0
    assert "多少是运气" in (out / "report.html").read_text(encoding="utf-8")


def test_a_figure_that_there_is_not_is_told_after_one_run(data: Path, tmp_path: Path) -> None:
    wrong = recipe(data, study={"seeds": 3, "by": "f1_macro"})
    with pytest.raises(ConfigError, match="there is no figure 'f1_macro'"):
        train(wrong, out=tmp_path / "study")
    assert len(list((tmp_path / "study" / "runs").iterdir())) == 1
    finished = (tmp_path / "study" / "runs" / "seed-0" / "evaluation.json").stat().st_mtime_ns
    result = train(recipe(data, study={"seeds": 3, "by": "macro_f1"}), out=tmp_path / "study", resume=True)
    assert result.evaluation["by"] == "macro_f1"
    assert (tmp_path / "study" / "runs" / "seed-0" / "evaluation.json").stat().st_mtime_ns == finished
    with pytest.raises(ConfigError, match="the recipe has changed"):
        train(recipe(data, study={"seeds": 4, "by": "macro_f1"}), out=tmp_path / "study", resume=True)
