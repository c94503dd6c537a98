"""The main job: raw text → corpus → tokenizer → shards → model → evaluation → samples → report.

Each stage leaves its result in the run folder in one step (temporary sibling, rename), so a story that was
interrupted takes up again at the first stage whose result is not there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, TypeVar

from hanmo.core.files import sha256_file, sha256_text, write_json, write_text
from hanmo.core.progress import progress, say
from hanmo.core.runs import RunFolder
from hanmo.core.settings import Settings
from hanmo.core.toml import to_toml
from hanmo.stories.evaluate import evaluate_run, write_samples
from hanmo.stories.ngram_baseline import ngram_baseline
from hanmo.stories.recipe import PretrainRecipe
from hanmo.stories.result import PretrainResult, count_parameters, example_prompt, recorded_result, weights_file
from hanmo.stories.story import Story, now

if TYPE_CHECKING:
    import numpy as np

    from hanmo.models.causal_lm import CausalLM
    from hanmo.tasks.language_model import LanguageModel
    from hanmo.tokenizers.tokenizer import Tokenizer
    from hanmo.training.result import FitResult

__all__ = ["PretrainResult", "build_model", "pretrain"]

ResultT = TypeVar("ResultT")


def pretrain(
    recipe: PretrainRecipe, run: RunFolder, *, resume: bool = False, command: str | None = None
) -> PretrainResult:
    """Run the whole story into `run`.

    Args:
        recipe: what to do.
        run: an empty run folder, or the one of an interrupted run with `resume`.
        resume: go on; finished stages are taken as they are, and training continues bit for bit. A finished run is
            left as it is, and its recorded result comes back.
        command: what the user typed, for the record.

    Raises:
        ConfigError: if the recipe is not the one of the run to resume; names the differences. The run stays as it is.
        HanmoError: whatever goes wrong, with place and remedy; run.json then says "failed" and why.
    """
    return _Pretraining(recipe, run, resume).carry_out(command)


def build_model(recipe: PretrainRecipe, tokenizer: Tokenizer) -> LanguageModel:
    """The untrained model of a recipe, its weights drawn with the recipe's seed; or its checkpoint, with an adapter if it asks
    for one.

    Raises:
        ModelError: if the checkpoint cannot be read, or is no decoder of attention layers.
        ConfigError: if the adapter cannot go to it.
    """
    from hanmo.core.seeds import seed_everything
    from hanmo.stories.decoder_model import new_decoder, open_decoder
    from hanmo.tasks.adapted import adapt
    from hanmo.tasks.language_model import LanguageModel

    checkpoint = recipe.model.checkpoint
    if checkpoint is None:
        model = new_decoder(recipe.model, vocab_size=tokenizer.vocab_size, eos_id=tokenizer.eos_id, seed=recipe.seed)
        return LanguageModel(model, tokenizer)
    seed_everything(recipe.seed)
    lm = open_decoder(checkpoint)
    if recipe.adapter is not None:
        adapt(lm.model, recipe.adapter, checkpoint)
    return lm


class _Pretraining(Story[PretrainRecipe, PretrainResult]):
    """The stages in order; each method is one of them."""

    lasting = ("corpus", "tokenizer", "encode")

    def recorded(self) -> PretrainResult | None:
        return recorded_result(self.run)

    def tell(self) -> PretrainResult:
        from hanmo.models.families import family_of

        self.stage("corpus", self.run.path / "corpus" / "corpus.json", self._collect)
        self.stage("tokenizer", self.run.path / "tokenizer" / "tokenizer_config.json", self._train_tokenizer)
        tokenizer = self._tokenizer()
        self.stage("encode", self.run.path / "shards" / "heldout" / "shards.json", lambda: self._encode(tokenizer))
        lm = build_model(self.recipe, tokenizer)
        model: Any = lm.model
        table = self._fill_token_table(model, tokenizer)
        parameters, trained = count_parameters(model)
        if self.recipe.adapter is not None:
            table |= {"trained_parameters": trained}
        config, family = model.config, family_of(model.config).model_type
        assert isinstance(config, Settings)
        self.run.record(
            model={"family": family, "parameters": parameters, "config": config.model_dump(mode="json"), **table}
        )
        with self.timed("train"):
            fitted = self._train(model, tokenizer)
        self.stages[-1]["seconds"] = round(fitted.seconds, 3)  # of all sessions
        evaluation: dict[str, Any] = {}
        if fitted.status == "stopped":
            self.close("interrupted", None)
        else:
            evaluation = self._finish(lm)
        return PretrainResult(
            run=self.run.path, status=fitted.status, stopped_by=fitted.stopped_by,
            seconds=self.seconds(), parameters=parameters, trained=table.get("trained_parameters"),
            n_tokens=fitted.n_tokens, tokens_per_s=self.run.read()["training"]["tokens_per_s"], evaluation=evaluation,
            prompt=example_prompt(self.run) if evaluation else "",
        )  # fmt: skip

    # -- stages --------------------------------------------------------------------------------------------------

    def _collect(self) -> None:
        from hanmo.corpora.built import collect_corpus
        from hanmo.stories.perplexity import load_scorer

        section = self.recipe.corpus
        collect_corpus(section.source, self.run.path / "corpus", section, load_scorer=load_scorer)

    def _train_tokenizer(self) -> None:
        from hanmo.corpora.documents import read_documents
        from hanmo.stories.run_tokenizer import run_tokenizer

        train_file = self.run.path / "corpus" / "train.jsonl.gz"
        with progress("Train tokenizer", unit="docs") as bar:
            texts = _counted((document.text for document in read_documents(train_file)), bar.advance)
            tokenizer = run_tokenizer(self.recipe, train_file, texts)
        tokenizer.save(self.run.path / "tokenizer")

    def _encode(self, tokenizer: Tokenizer) -> None:
        from hanmo.corpora.documents import read_documents
        from hanmo.corpora.shards import shard_dtype, write_shards

        assert tokenizer.eos_id is not None
        for split in ("train", "heldout"):
            documents = read_documents(self.run.path / "corpus" / f"{split}.jsonl.gz")
            with progress(f"Encode {split}", unit="docs") as bar:
                write_shards(
                    (document.text for document in documents), tokenizer.encode_batch, tokenizer.eos_id,
                    self.run.path / "shards" / split, shard_dtype(tokenizer.vocab_size),
                    tokenizer_sha256=tokenizer.sha256, on_texts=bar.advance,
                )  # fmt: skip

    def _fill_token_table(self, model: CausalLM, tokenizer: Tokenizer) -> dict[str, Any]:
        section = self.recipe.model
        if section.embeddings is None:
            return {}
        from hanmo.stories.embeddings import fill_token_table, load_embeddings

        vectors = load_embeddings(section.embeddings)
        filled = fill_token_table(model, tokenizer, vectors, freeze=section.freeze_embeddings, seed=self.recipe.seed)
        say(filled.describe())
        return {"embeddings": asdict(filled)}

    def _vectors_identity(self) -> dict[str, str]:
        from hanmo.stories.embeddings import vectors_sha256

        path = self.recipe.model.embeddings
        return {} if path is None else {"word vectors": vectors_sha256(path)}

    def _train(self, model: CausalLM, tokenizer: Tokenizer) -> FitResult:
        from hanmo.batches.blocks import TokenBlocks
        from hanmo.core.devices import choose_compute, pick_device
        from hanmo.evaluation.perplexity import evaluate_blocks
        from hanmo.models.adapters import adapter_sets
        from hanmo.tasks.causal_lm import causal_lm_loss
        from hanmo.training.loop import fit

        recipe, length = self.recipe, self.recipe.block_len(model.config.max_len)
        train_ids, heldout_ids = self._shard("train", tokenizer), self._shard("heldout", tokenizer)
        batches = TokenBlocks(train_ids, block_len=length, batch_size=recipe.batches.batch_size, seed=recipe.seed)
        if recipe.infilling is not None:
            from hanmo.batches.infilling import FillInMiddle
            from hanmo.tokenizers.infilling import infill_tokens

            asked = recipe.infilling
            batches = FillInMiddle(
                batches,
                tokenizer,
                infill_tokens(tokenizer),
                share=asked.share,
                spm_share=asked.spm_share,
                seed=recipe.seed,
            )
        glance = heldout_ids[: recipe.eval_tokens + 1]
        n_bytes = len(tokenizer.decode(glance[1:].tolist()).encode())

        def evaluate(trained: Any) -> dict[str, float]:
            return evaluate_blocks(
                trained,
                TokenBlocks.sequential(glance, block_len=length, batch_size=recipe.batches.batch_size),
                n_bytes=n_bytes,
            )

        compute, config = choose_compute(pick_device(recipe.device)), model.config
        assert isinstance(config, Settings)
        identity = {
            "train data": sha256_file(self.run.path / "corpus" / "train.jsonl.gz"),
            "tokenizer": tokenizer.sha256,
            "model": sha256_text(config.model_dump_json(exclude={"calibration"})),
        } | self._vectors_identity()
        settings, few = recipe.training, ""
        parameters, trained = count_parameters(model)
        if recipe.adapter is not None:
            identity |= {"base": adapter_sets(model)[0].base_hash or "", "adapter": recipe.adapter.model_dump_json()}
            # torch.compile would have to trace through the adapter's own gradients
            settings = settings.model_copy(update={"compile": "off"})
            few = f", of which {trained:,} ({trained / parameters:.2%}) are trained"
        say(f"{parameters:,} parameters{few}, {len(train_ids):,} training tokens, on {compute.device}")
        fitted = fit(
            model, loss=causal_lm_loss, batches=batches, settings=settings, run=self.run, evaluate=evaluate,
            identity=identity, compute=compute, resume=self.resume and self.run.checkpoints.exists(),
        )  # fmt: skip
        step_tokens = recipe.batches.batch_size * length * recipe.training.accumulate
        known = self.run.read().get("training", {})
        self.run.record(
            device=str(compute.device), compiled=fitted.compiled,
            precision="bfloat16 autocast" if known.get("bf16") else "float32",
            training={
                "n_steps": fitted.step, "n_steps_planned": fitted.n_steps, "tokens": fitted.n_tokens,
                # a session that only had the last stages left to do has no speed of its own
                "tokens_per_s": fitted.tokens_per_s or known.get("tokens_per_s", 0.0), "seconds": fitted.seconds, "best_step": fitted.best_step,
                "epochs": fitted.step * step_tokens / max(1, len(train_ids)),
                "stopped_by": {"finished": "time" if recipe.training.minutes else "steps", "early_stopped": "early stopping"}.get(
                    fitted.status, "signal"
                ),
                "bf16": known.get("bf16", False), "compiled": fitted.compiled,
            },
        )  # fmt: skip
        return fitted

    def _finish(self, lm: LanguageModel) -> dict[str, Any]:
        from hanmo.evaluation.card import write_model_card
        from hanmo.evaluation.report import write_report
        from hanmo.evaluation.run_files import read_run

        recipe = self.recipe
        lm.model.eval()
        folder = self.run.path / ("model" if recipe.adapter is None else "adapter")
        with self.timed("model"):
            lm.save(folder)
        with self.timed("evaluate"):
            evaluation = evaluate_run(self.run.path, lm, recipe)
        with self.timed("ngram"):
            evaluation["ngram"] = ngram_baseline(self.run.path, vocab_size=lm.tokenizer.vocab_size)
            write_json(self.run.path / "evaluation.json", evaluation)
        with self.timed("samples"):
            write_samples(self.run.path, recipe)
        weights = folder / weights_file(folder.name)
        self.run.record(
            status="finished", finished=now(), seconds=self.seconds(), energy=self.energy_used(),
            hashes={
                "train.jsonl.gz": sha256_file(self.run.path / "corpus" / "train.jsonl.gz"),
                "heldout.jsonl.gz": sha256_file(self.run.path / "corpus" / "heldout.jsonl.gz"),
                "tokenizer.json": lm.tokenizer.sha256, weights.name: sha256_file(weights),
            },
        )  # fmt: skip
        write_text(self.run.path / "recipe.toml", to_toml(recipe.model_dump(mode="json")))
        write_model_card(folder, read_run(self.run.path))
        write_report(self.run.path, lang=recipe.lang)
        return evaluation

    # -- parts ---------------------------------------------------------------------------------------------------

    def _tokenizer(self) -> Tokenizer:
        from hanmo.stories.tokenizer_facts import tokenizer_facts
        from hanmo.tokenizers.tokenizer import Tokenizer

        tokenizer = Tokenizer.load(self.run.path / "tokenizer")
        self.run.record(tokenizer=tokenizer_facts(tokenizer, self.run.path / "corpus" / "heldout.jsonl.gz"))
        return tokenizer

    def _shard(self, split: str, tokenizer: Tokenizer) -> np.ndarray:
        from hanmo.corpora.shards import open_shards, read_shard_report

        folder = self.run.path / "shards" / split
        report = read_shard_report(folder).model_dump(mode="json")
        self.run.record(shards=self.run.read().get("shards", {}) | {split: report})
        return open_shards(folder, verify=True, tokenizer_sha256=tokenizer.sha256)


def _counted(items: Iterable[ResultT], advance: Callable[[int], None]) -> Iterator[ResultT]:
    for item in items:
        yield item
        advance(1)
