"""A classifier of texts: examples → model → training → figures on the test set → report."""

from __future__ import annotations

import json
import shlex
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hanmo.core.files import read_json, sha256_file, sha256_text, write_json, write_text
from hanmo.core.progress import format_duration, say
from hanmo.core.toml import to_toml
from hanmo.stories.classification_recipe import ClassificationRecipe
from hanmo.stories.story import Story, now

if TYPE_CHECKING:
    from hanmo.tasks.text_classifier import TextClassifier
    from hanmo.tasks.text_examples import TextExample, TextSplits
    from hanmo.tokenizers.tokenizer import Tokenizer
    from hanmo.training.result import FitResult

__all__ = ["ClassificationResult", "ClassificationStory", "build_classifier", "describe_figures"]

_FILES = (
    "evaluation.json", "predictions.jsonl", "recipe.toml", "report.html",
    "model/config.json", "model/model.safetensors", "model/tokenizer.json",
)  # fmt: skip
"""What a finished run has."""


@dataclass(frozen=True, kw_only=True)
class ClassificationResult:
    """Where everything is, and the figures that matter."""

    run: Path
    status: str
    """"finished", "early_stopped" or "stopped" (a signal; the run can be resumed)."""
    stopped_by: str | None
    """Name of the signal, if one stopped the run."""
    seconds: float
    """Wall time of the whole story, all its sessions together."""
    parameters: int
    n_examples: int
    """Texts to learn from."""
    evaluation: dict[str, Any] = field(default_factory=dict)
    """Contents of evaluation.json; empty if the run was stopped."""

    @property
    def model(self) -> Path:
        """The model directory."""
        return self.run / "model"

    @property
    def report(self) -> Path:
        """The report."""
        return self.run / "report.html"

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        paths = {"run": str(self.run), "model": str(self.model), "report": str(self.report)}
        return asdict(self) | paths

    def summary(self) -> str:
        """A few lines for a terminal: figures, files, and how to go on."""
        if self.status == "stopped":
            return f"Stopped. Everything so far is in {self.run}; go on with the same command and --out {self.run} --resume."
        lines = [
            f"Trained {self.parameters:,} parameters on {self.n_examples:,} texts, all in {format_duration(self.seconds)}."
        ]
        lines += [f"{split}: {describe_figures(found)}" for split, found in self.evaluation.items()]
        model = shlex.quote(str(self.model))
        return "\n".join(
            [
                *lines,
                "",
                f"  report   {self.report}",
                f"  model    {self.model}",
                f"  errors   {self.run / 'predictions.jsonl'}",
                "",
                "Go on with:",
                f"  hanmo predict text-classification {model} 'a text'",
            ]
        )


def describe_figures(figures: dict[str, Any]) -> str:
    """The figures of one split on one line, with the interval where there is one."""
    parts = []
    for name, value in figures["scores"].items():
        interval = figures["intervals"].get(name)
        around = f" [{interval['low']:.4f}, {interval['high']:.4f}]" if interval else ""
        parts.append(f"{name} {value:.4f}{around}")
    return ", ".join(parts)


def build_classifier(recipe: ClassificationRecipe, splits: TextSplits) -> tuple[Any, Tokenizer]:
    """The untrained model of a recipe and its tokenizer; what is drawn is drawn with the recipe's seed."""
    from hanmo.core.seeds import seed_everything
    from hanmo.models.directory import read_config, read_model
    from hanmo.models.families import FAMILIES, family_of
    from hanmo.models.hub import find_model
    from hanmo.tasks.text_classification import PROBLEM_TYPES
    from hanmo.tasks.text_classifier import sequence_architecture
    from hanmo.tokenizers.tokenizer import Tokenizer
    from hanmo.tokenizers.words import train_words

    section = recipe.model
    seed_everything(recipe.seed)
    head = {"labels": splits.labels, "problem_type": PROBLEM_TYPES[recipe.data.kind]}
    if section.checkpoint is not None:
        path = find_model(section.checkpoint)
        name = sequence_architecture(list(family_of(read_config(path)).architectures))
        if "dropout" in section.model_fields_set:
            head["dropout_head"] = section.dropout
        return read_model(path, architecture=name, changes=head), Tokenizer.load(path)
    texts = [text for example in splits.train for text in (example.text, example.pair) if text is not None]
    tokenizer = train_words(
        texts, section.vocab_size, min_count=section.min_count, lowercase=section.lowercase,
        model_max_length=section.max_len if section.encoder == "transformer" else None,
    )  # fmt: skip
    shape: dict[str, Any] = {"vocab_size": tokenizer.vocab_size, "pad_id": tokenizer.pad_id, "dropout": section.dropout}
    match section.encoder:
        case "bag":
            kind = "hanmo-cnn"
            shape |= {"d_embedding": section.d_embedding, "widths": (), "pool": "mean"}
        case "cnn":
            kind = "hanmo-cnn"
            shape |= {"d_embedding": section.d_embedding, "d_filters": section.d_hidden, "widths": section.widths}
        case "bilstm":
            kind = "hanmo-bilstm"
            shape |= {"d_embedding": section.d_embedding, "d_hidden": section.d_hidden, "n_layers": section.n_layers}
        case "transformer":
            kind = "bert"
            shape |= {
                "d_model": section.d_embedding, "n_layers": section.n_layers, "n_heads": section.n_heads,
                "max_len": section.max_len, "dropout_attention": section.dropout,
            }  # fmt: skip
    family = FAMILIES[kind]
    config = family.config.model_validate(shape | head)
    model = family.architecture(sequence_architecture(list(family.architectures))).build(config)
    if section.embeddings is not None:
        from hanmo.stories.embeddings import fill_token_table, load_embeddings

        vectors = load_embeddings(section.embeddings)
        say(fill_token_table(model, tokenizer, vectors, freeze=section.freeze_embeddings, seed=recipe.seed).describe())
    return model, tokenizer


class ClassificationStory(Story[ClassificationRecipe, ClassificationResult]):
    """See above."""

    def tell(self) -> ClassificationResult:
        from hanmo.tasks.text_classifier import TextClassifier
        from hanmo.tasks.text_examples import read_splits

        recipe = self.recipe
        with self.timed("read"):
            splits = read_splits(recipe.data, seed=recipe.seed)
        sizes = {name: len(getattr(splits, name)) for name in ("train", "dev", "test")}
        self.run.record(data={"examples": sizes, "labels": list(splits.labels), "notes": splits.notes})
        model, tokenizer = build_classifier(recipe, splits)
        classifier = TextClassifier(model, tokenizer)
        parameters = sum(parameter.numel() for parameter in model.parameters())
        self.run.record(model={"architecture": model.architecture, "parameters": parameters})
        say(f"{parameters:,} parameters; {', '.join(f'{n:,} {name}' for name, n in sizes.items())} texts")
        with self.timed("train"):
            fitted = self._train(classifier, splits)
        self.stages[-1]["seconds"] = round(fitted.seconds, 3)  # of all sessions
        evaluation: dict[str, Any] = {}
        if fitted.status == "stopped":
            self.close("interrupted", None)
        else:
            evaluation = self._finish(classifier, splits)
        return ClassificationResult(
            run=self.run.path, status=fitted.status, stopped_by=fitted.stopped_by, seconds=self.seconds(),
            parameters=parameters, n_examples=sizes["train"], evaluation=evaluation,
        )  # fmt: skip

    def recorded(self) -> ClassificationResult | None:
        known = self.run.read()
        if known.get("status") != "finished" or not all((self.run.path / name).is_file() for name in _FILES):
            return None
        return ClassificationResult(
            run=self.run.path, status="finished", stopped_by=None, seconds=known["seconds"],
            parameters=known["model"]["parameters"], n_examples=known["data"]["examples"]["train"],
            evaluation=read_json(self.run.path / "evaluation.json"),
        )  # fmt: skip

    def _train(self, classifier: TextClassifier, splits: TextSplits) -> FitResult:
        from hanmo.batches.padded_rows import PaddedRows
        from hanmo.core.devices import choose_compute, pick_device
        from hanmo.core.settings import Settings
        from hanmo.tasks.text_classification import (
            class_weights,
            classification_loss,
            encode_examples,
            fills_of,
            targets,
        )
        from hanmo.tasks.text_classifier import OVERLAP
        from hanmo.tasks.text_figures import glance
        from hanmo.training.loop import fit

        recipe, kind, tokenizer = self.recipe, self.recipe.data.kind, classifier.tokenizer
        config = classifier.config
        assert isinstance(config, Settings)
        rows = encode_examples(
            splits.train, tokenizer, splits.labels, kind, max_len=getattr(config, "max_len", None), overlap=OVERLAP
        )
        batches = PaddedRows(
            rows, fills=fills_of(kind, tokenizer.pad_id or 0), batch_size=recipe.batch_size, seed=recipe.seed
        )
        weights = None
        if recipe.loss.class_weights == "balanced" and kind != "regression":
            weights = class_weights(targets(splits.train, splits.labels, kind), len(splits.labels))
        dev_targets = targets(splits.dev, splits.labels, kind)
        dev_texts = [example.texts for example in splits.dev]

        def evaluate(model: Any) -> dict[str, float]:
            return glance(classifier.scores(dev_texts), dev_targets, kind)

        identity = {
            "examples": sha256_text(json.dumps([asdict(example) for example in splits.train])),
            "tokenizer": tokenizer.sha256,
            "model": sha256_text(config.model_dump_json()),
        }
        fitted = fit(
            classifier.model, loss=classification_loss(kind, recipe.loss, weights), batches=batches,
            settings=recipe.training.fitted(batches.n_batches), run=self.run, evaluate=evaluate, identity=identity,
            compute=choose_compute(pick_device(recipe.device)),
            resume=self.resume and self.run.checkpoints.exists(),
        )  # fmt: skip
        known = self.run.read().get("training", {})
        self.run.record(
            training={
                "n_steps": fitted.step, "n_steps_planned": fitted.n_steps, "rows": fitted.n_tokens,
                "rows_per_s": fitted.tokens_per_s or known.get("rows_per_s", 0.0), "seconds": fitted.seconds,
                "best_step": fitted.best_step, "epochs": fitted.step * recipe.training.accumulate / batches.n_batches,
            }
        )  # fmt: skip
        return fitted

    def _finish(self, classifier: TextClassifier, splits: TextSplits) -> dict[str, Any]:
        from hanmo.evaluation.classifier_report import write_classifier_report
        from hanmo.tasks.text_figures import figures, predictions

        kind = self.recipe.data.kind
        evaluation: dict[str, Any] = {}
        with self.timed("model"):
            classifier.model.eval()
            classifier.save(self.run.model)
        with self.timed("evaluate"):
            lines: list[str] = []
            for name in ("dev", "test"):
                examples: list[TextExample] = getattr(splits, name)
                if not examples:
                    continue
                probabilities = classifier.probabilities([example.texts for example in examples])
                evaluation[name] = figures(probabilities, examples, splits.labels, kind, seed=self.recipe.seed)
                records = predictions(probabilities, examples, splits.labels, kind)
                lines += [json.dumps({"split": name} | record, ensure_ascii=False) for record in records]
            write_json(self.run.path / "evaluation.json", evaluation)
            write_text(self.run.path / "predictions.jsonl", "\n".join(lines) + "\n")
        write_text(self.run.path / "recipe.toml", to_toml(self.recipe.model_dump(mode="json")))
        self.run.record(
            status="finished", finished=now(), seconds=self.seconds(), energy=self.energy_used(),
            hashes={
                "tokenizer.json": classifier.tokenizer.sha256,
                "model.safetensors": sha256_file(self.run.model / "model.safetensors"),
            },
        )  # fmt: skip
        write_classifier_report(self.run.path, lang=self.recipe.lang)
        return evaluation
