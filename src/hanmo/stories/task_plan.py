"""The plan of a task: what it would do, and one training example as the model will see it."""

from __future__ import annotations

from collections import Counter

from hanmo.core.toml import to_toml
from hanmo.stories.result import count_parameters
from hanmo.stories.task_recipe import TaskRecipe

__all__ = ["describe_task"]

_SHOWN = 20
"""Labels, and tokens of the first row are eight times as many."""


def describe_task(recipe: TaskRecipe) -> str:
    """Read and check all examples, build the model, train nothing, and say what would happen."""
    work = recipe.work()
    splits = work.examples()
    work.check_monitor(splits)
    model = work.begin(splits)
    parameters, trained = count_parameters(model.model)
    few = f", {trained:,} trained ({trained / parameters:.2%})" if recipe.adapter is not None else ""
    learning = work.learn(model, splits)
    batches = learning.batches
    settings = work.training(batches.n_batches)
    length = f"{settings.minutes:g} minutes" if settings.minutes else f"{settings.n_steps:,} steps"
    counts = Counter(label for example in splits.train for label in work.classes(example))
    shown = ", ".join(f"{name} {counts[name]:,}" for name in splits.labels[:_SHOWN] if name in counts)
    first, tokenizer = batches.next()["input_ids"], model.tokenizer
    tokens = first.reshape(-1, first.shape[-1])[0].tolist()[: 8 * _SHOWN]
    return "\n".join(
        [
            f"examples    {len(splits.train):,} train, {len(splits.dev):,} dev, {len(splits.test):,} test",
            f"labels      {len(splits.labels)}: {shown}" if shown else f"labels      {work.answers}",
            f"model       {model.model.architecture}, {parameters:,} parameters{few}",
            f"training    {length} of {work.batch_size * settings.accumulate:,} {work.batch_unit}, "
            f"{batches.n_batches:,} batches an epoch",
            "",
            f"a row of the first batch, {tuple(first.shape)}:",
            "  " + " ".join(tokenizer.decode([token], skip_special=False) or f"<{token}>" for token in tokens),
            "",
            *([*learning.shown, ""] if learning.shown else []),
            to_toml(recipe.model_dump(mode="json")),
        ]
    )
