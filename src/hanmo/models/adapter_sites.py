"""Where adapters can go: the linear layers of a model by the names that they have in `transformers`."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from torch import nn

from hanmo.core.errors import ConfigError
from hanmo.models.adapter_settings import ALL_LINEAR
from hanmo.models.families import family_of
from hanmo.models.weights.mapping import Rule

__all__ = ["Site", "choose_sites", "matches", "model_rules", "pattern_value", "saved_rules", "sites_of"]

T = TypeVar("T")


@dataclass(frozen=True)
class Site:
    """One linear layer there: some or all rows of a matrix here."""

    name: str
    """Of the module in `transformers`."""
    path: str
    """Of our module."""
    start: int
    """Its first row in our matrix."""
    rows: int
    d_in: int
    transposed: bool
    """Whether it is stored (in, out) there."""


def model_rules(model: Any) -> list[Rule]:
    """The names of all tensors of a model.

    Raises:
        ConfigError: if it is of no known family.
    """
    return family_of(model.config).architecture(model.architecture).rules(model.config)


def sites_of(model: Any) -> dict[str, Site]:
    """Every linear layer outside the head, by its name there. Weights that are no module there have no place.

    Raises:
        ConfigError: if the model is of no known family.
    """
    found: dict[str, Site] = {}
    for rule in model_rules(model):
        path, _, leaf = rule.ours.rpartition(".")
        if leaf != "weight" or rule.stored or rule.ours.split(".")[0] == "head":
            continue
        module = model.get_submodule(path)
        if not isinstance(module, nn.Linear):
            continue
        start = 0
        for name, rows in zip(rule.theirs, rule.rows or (module.out_features,), strict=True):
            name = name.removesuffix(".weight")
            found[name] = Site(name, path, start, rows, module.in_features, rule.transposed)
            start += rows
    return found


def choose_sites(sites: Mapping[str, Site], targets: str | Sequence[str], *, where: str) -> list[Site]:
    """The layers that a pattern names, in the model's order.

    Args:
        sites: those that there are.
        targets: ends of names, a regular expression for whole names, or `ALL_LINEAR`.
        where: what errors name.

    Raises:
        ConfigError: if (one of) the targets names nothing, with the names that there are.
    """
    if targets == ALL_LINEAR:
        return list(sites.values())
    if isinstance(targets, str):
        try:
            chosen = {name for name in sites if re.fullmatch(targets, name)}
        except re.error as error:
            raise ConfigError(f"{targets!r} is not a regular expression ({error})", where=where) from error
        missing = [] if chosen else [targets]
    else:
        matches = {target: [name for name in sites if _ends(name, target)] for target in targets}
        chosen = {name for names in matches.values() for name in names}
        missing = [target for target, names in matches.items() if not names] or ([] if targets else ["nothing"])
    if missing:
        raise ConfigError(
            f"no linear layer of this model is called {', '.join(map(repr, missing))}",
            where=where,
            remedy=_what_there_is(sites, missing),
        )
    return [site for name, site in sites.items() if name in chosen]


def matches(name: str, targets: str | Sequence[str]) -> bool:
    """Whether a name is among the targets."""
    if isinstance(targets, str):
        return targets == ALL_LINEAR or re.fullmatch(targets, name) is not None
    return any(_ends(name, target) for target in targets)


def saved_rules(model: Any, names: Sequence[str], *, where: str) -> list[Rule]:
    """What the modules of these names hold.

    Args:
        model: the model.
        names: ends of the names of modules there.
        where: what errors name.

    Raises:
        ConfigError: if there is no such module, or it cannot be trained apart from others.
    """
    rules, found = model_rules(model), []
    for name in names:
        mine = [rule for rule in rules if any(_inside(part, name) for part in rule.theirs)]
        if not mine:
            modules = sorted({part.rpartition(".")[0] for rule in rules for part in rule.theirs})
            raise ConfigError(
                f"no module of this model is called {name!r}", where=where, remedy=_what_there_is(modules, [name])
            )
        for rule in mine:
            if not all(_inside(part, name) for part in rule.theirs):
                whole = ", ".join(part.rpartition(".")[0] for part in rule.theirs)
                raise ConfigError(
                    f"{name!r} is one matrix with others here ({whole})", where=where, remedy="Name all of them."
                )
            if getattr(model.config, "tie_embeddings", False) and rule.ours.endswith("embedding.token.weight"):
                raise ConfigError(
                    f"{name!r} is tied to the output matrix, which would change with it", where=where,
                    remedy="Leave it out, or untie them first (tie_word_embeddings in config.json).",
                )  # fmt: skip
            if rule not in found:
                found.append(rule)
    return found


def pattern_value(patterns: Mapping[str, T], name: str, default: T) -> T:
    """The value of the first pattern that names the end of a name, as PEFT reads `rank_pattern`."""
    return next((value for key, value in patterns.items() if re.match(rf"(.*\.)?({key})$", name)), default)


def _ends(name: str, target: str) -> bool:
    return name == target or name.endswith(f".{target}")


def _inside(tensor: str, module: str) -> bool:
    """Whether a tensor belongs to a module whose name ends so."""
    parts = tensor.split(".")
    return any(_ends(".".join(parts[:n]), module) for n in range(1, len(parts) + 1))


def _what_there_is(names: Mapping[str, Any] | Sequence[str], asked: Sequence[str]) -> str:
    """The ends of names, numbers left out, those like what was asked for first."""
    ends = list(dict.fromkeys(re.sub(r"^.*?\.\d+\.(?!.*\.\d+\.)", "", name) for name in names))
    near = [end for target in asked for end in difflib.get_close_matches(target, ends, n=2)]
    shown = list(dict.fromkeys([*near, *ends]))
    return f"There are: {', '.join(shown[:24])}{' …' if len(shown) > 24 else ''}."
