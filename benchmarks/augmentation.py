"""What augmentation is worth: accuracy on the test set without and with each kind, at several sizes of training set.

    HANMO_DATA=path/to/data python benchmarks/augmentation.py [--sets sst2 chnsenticorp] [--sizes 100 500 2000]
        [--seeds 0 1 2] [--passes 20] [--copies 2] [--vectors-en FILE] [--vectors-zh FILE] [--masked-en DIR] [--masked-zh DIR]

Takes the recipes recipes/sst2.toml and recipes/chnsenticorp.toml with so many training examples, drawn by the seed, the
same for all kinds. All kinds train for the same number of steps, `passes` over the examples with their copies, whether
there are copies or not, and return to the best weights on the dev set. Kinds that need word vectors or a masked language
model are left out, and said to be, where none is given. Prints mean and deviation over the seeds; the last column is the
mean difference to no augmentation with the number of pairs (size, seed) in which it was better.
"""

from __future__ import annotations

import argparse
import gzip
import random
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from machine_line import machine_line

from hanmo.core.progress import set_quiet
from hanmo.stories.classification_recipe import ClassificationRecipe
from hanmo.stories.train import read_recipe, train

RECIPES = Path(__file__).parent.parent / "recipes"
LANGUAGES = {"sst2": "en", "chnsenticorp": "zh"}


def kinds(arguments: argparse.Namespace, language: str) -> dict[str, dict[str, Any]]:
    """Name of each kind and what it sets in `[augment]`, and in `[loss]` under "loss"; those that cannot be made are said."""
    vectors, masked = getattr(arguments, f"vectors_{language}"), getattr(arguments, f"masked_{language}")
    found: dict[str, dict[str, Any]] = {"none": {}}
    copies = {"copies": arguments.copies}
    for name in ("swap", "delete", *(["homophone"] if language == "zh" else [])):
        found[name] = {"operations": [name], **copies}
    if vectors is None:
        print(f"# {language}: no word vectors given: synonym, insert and EDA are left out")
    else:
        for name in ("synonym", "insert"):
            found[name] = {"operations": [name], "vectors": vectors, **copies}
        found["EDA"] = {"operations": ["synonym", "insert", "swap", "delete"], "vectors": vectors, **copies}
    if masked is None:
        print(f"# {language}: no masked language model given: masked-lm is left out")
    else:
        found["masked-lm"] = {"operations": ["masked-lm"], "checkpoint": masked, **copies}
    return found | {
        "mixup words": {"mixup": "words"},
        "mixup sentences": {"mixup": "sentences"},
        "adversarial": {"loss": {"adversarial": 0.3}},
    }


def cut(recipe: ClassificationRecipe, size: int, seed: int, folder: Path) -> Path:
    """A training file of so many examples."""
    source = Path(recipe.data.train)
    with gzip.open(source, "rt", encoding="utf-8") if source.suffix == ".gz" else source.open(encoding="utf-8") as file:
        lines = file.read().splitlines()
    head = lines[:1] if isinstance(recipe.data.text, str) else []
    rows = random.Random(seed).sample(lines[len(head) :], size)
    path = folder / f"{size}-{seed}.tsv"
    path.write_text("\n".join([*head, *rows]) + "\n", encoding="utf-8")
    return path


def accuracy(name: str, size: int, seed: int, augment: dict[str, Any], arguments: argparse.Namespace) -> float:
    """Of one training, on the test set."""
    recipe = read_recipe(RECIPES / f"{name}.toml")
    assert isinstance(recipe, ClassificationRecipe)
    with tempfile.TemporaryDirectory() as folder:
        data = recipe.data.model_dump() | {"train": str(cut(recipe, size, seed, Path(folder))), "rare": "keep"}
        steps = max(1, arguments.passes * (1 + arguments.copies) * size // recipe.batch_size)
        values = recipe.model_dump() | {
            "seed": seed,
            "data": data,
            "augment": {name: value for name, value in augment.items() if name != "loss"},
            "loss": augment.get("loss", {}),
            "training": {
                "n_steps": steps,
                "eval_every": max(1, steps // 10),
                "patience": 10,
                "checkpoint_seconds": None,
            },
        }
        result = train(ClassificationRecipe.model_validate(values), out=Path(folder) / "run")
    if result.status == "stopped":
        raise SystemExit(130)
    return result.evaluation["test"]["scores"]["accuracy"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", nargs="+", choices=LANGUAGES, default=list(LANGUAGES))
    parser.add_argument("--sizes", nargs="+", type=int, default=[100, 500, 2000])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--passes", type=int, default=20)
    parser.add_argument("--copies", type=int, default=2)
    for language in ("en", "zh"):
        parser.add_argument(f"--vectors-{language}")
        parser.add_argument(f"--masked-{language}")
    arguments = parser.parse_args()
    set_quiet(True)
    print(machine_line(arguments.seeds[0]))
    for name in arguments.sets:
        found: dict[str, dict[int, list[float]]] = {}
        started = time.monotonic()
        for kind, augment in kinds(arguments, LANGUAGES[name]).items():
            found[kind] = {
                size: [accuracy(name, size, seed, augment, arguments) for seed in arguments.seeds]
                for size in arguments.sizes
            }
        print(f"\n{name}, accuracy on test in %, {len(arguments.seeds)} seeds, {time.monotonic() - started:.0f} s")
        print("| augmentation | " + " | ".join(f"{size:,}" for size in arguments.sizes) + " | difference |")
        print("|---|" + "---|" * (len(arguments.sizes) + 1))
        for kind, by_size in found.items():
            cells = [
                f"{100 * statistics.mean(values):.1f} ± {100 * (statistics.stdev(values) if len(values) > 1 else 0):.1f}"
                for values in by_size.values()
            ]
            pairs = [
                (value, plain)
                for size, values in by_size.items()
                for value, plain in zip(values, found["none"][size], strict=True)
            ]
            gain = 100 * statistics.mean(value - plain for value, plain in pairs)
            won = sum(value > plain for value, plain in pairs)
            cells.append("" if kind == "none" else f"{gain:+.1f} ({won} of {len(pairs)})")
            print(f"| {kind} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
