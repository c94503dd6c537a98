"""Several adapters on one model: put in, switched at run time, merged and taken out again.

An adapter is a set of modules that stand in the place of others, and of parameters in the place of others; what they
replace is kept. So a model without an active adapter is the very model it was, and taking out a merged one gives back the
same bits.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from hanmo.core.errors import ConfigError, ModelError
from hanmo.models.adapter_layers import LinearSettings, build_layer, places_of
from hanmo.models.adapter_settings import AdapterSettings, PrefixSettings, PromptSettings
from hanmo.models.adapter_sites import Site, saved_rules, sites_of
from hanmo.models.virtual import build_virtual, room_beside, virtual_place
from hanmo.models.weights.mapping import Rule
from hanmo.nn.frozen_linear import FrozenLinear, dense_bias
from hanmo.nn.ia3 import IA3Linear
from hanmo.nn.linear import Linear
from hanmo.nn.virtual_tokens import VirtualTokens

__all__ = ["Adapter", "AdapterSet", "adapter_sets", "adapters_of"]

_HELD_LEAST = 64
"""Matrices with fewer inputs or outputs stay in float32: little to save."""


@dataclass(frozen=True)
class Adapter:
    """What one adapter puts in the place of what."""

    settings: AdapterSettings
    parts: dict[str, nn.Module]
    """By the name of a layer in `transformers`: what was trained for it. Virtual tokens belong to no layer: ""."""
    modules: dict[str, nn.Module]
    """By our path: what stands there while it is active."""
    parameters: dict[str, nn.Parameter]
    """By our name: what is trained whole."""
    rules: tuple[Rule, ...]
    """Names of these there."""

    def trained(self) -> list[nn.Parameter]:
        """Everything that belongs to it alone."""
        return [p for part in self.parts.values() for p in part.parameters()] + list(self.parameters.values())


class AdapterSet:
    """The adapters of one model. Its own parameters are frozen from now on."""

    def __init__(self, model: Any, *, base_name: str | None = None, base_hash: str | None = None):
        """Args:
        model: of a known family.
        base_name: folder or repository that it was read from, for the files of adapters.
        base_hash: what stands for its weights (`hanmo.models.adapter_files.base_hash`).

        Raises:
            ConfigError: if it is of no known family, or has a set of adapters already (see `adapters_of`).
        """
        if adapters_of(model) is not None:
            raise ConfigError("this model has adapters already", remedy="Use adapters_of(model).")
        self.model, self.base_name, self.base_hash = model, base_name, base_hash
        self.sites = sites_of(model)
        self._adapters: dict[str, Adapter] = {}
        self._active: str | None = None
        self._merged = False
        self._own_parameters: dict[str, nn.Parameter] = {}
        """The model's own, where an adapter had others."""
        model.requires_grad_(False)
        self._base: dict[str, nn.Module | None] = {
            site.path: model.get_submodule(site.path) for site in self.sites.values()
        }
        self._config = model.config
        object.__setattr__(model, _SET, self)  # no part of the model: its tensors are not the model's

    @property
    def names(self) -> tuple[str, ...]:
        """Of the adapters, in the order in which they came."""
        return tuple(self._adapters)

    @property
    def active(self) -> str | None:
        """The one that the model computes with."""
        return self._active

    @property
    def merged(self) -> bool:
        """Whether it is part of the model's own matrices."""
        return self._merged

    def __getitem__(self, name: str) -> Adapter:
        if name not in self._adapters:
            raise ConfigError(
                f"there is no adapter {name!r}", where="adapter",
                remedy=f"There are: {', '.join(self._adapters) or 'none'}.",
            )  # fmt: skip
        return self._adapters[name]

    def hold(self, dtype: str, *, besides: Sequence[str] = ()) -> None:
        """Hold the frozen matrices in bfloat16 or int8 from now on; float32 changes nothing.

        Args:
            dtype: what to hold them in.
            besides: modules that an adapter will train whole (`save`), which stay as they are.

        Raises:
            ConfigError: if there are adapters already, which were made for other numbers.
        """
        if dtype == "float32":
            return
        if self._adapters:
            raise ConfigError("the frozen matrices are chosen before the first adapter", where="adapter.base_dtype")
        whole = {rule.ours.rpartition(".")[0] for rule in saved_rules(self.model, besides, where="adapter.save")}
        for path, linear in self._base.items():
            if path not in whole and isinstance(linear, Linear) and min(linear.weight.shape) >= _HELD_LEAST:
                held = FrozenLinear(linear, dtype=dtype)  # pyright: ignore[reportArgumentType]
                self._base[path] = held
                _put(self.model, path, held)

    def add(
        self,
        name: str,
        settings: AdapterSettings,
        *,
        start_ids: Sequence[int] | None = None,
        where: str = "adapter",
    ) -> Adapter:
        """Make a fresh adapter, which changes nothing yet but a head that it trains whole, and switch to it.

        Args:
            name: what to call it: letters, digits, dots, dashes.
            settings: its kind, size and places.
            start_ids: tokens of the text that a prompt begins with.
            where: what errors name.

        Raises:
            ConfigError: if the name is taken, or a pattern names nothing, or the model takes no virtual tokens or has no
                room for them.
        """
        rules = saved_rules(self.model, settings.save, where=f"{where}.save")
        if isinstance(settings, (PromptSettings, PrefixSettings)):
            return self.put(name, self.make_virtual(settings, rules, start_ids, where=where))
        whole = {rule.ours.rpartition(".")[0] for rule in rules}
        free = {name: site for name, site in self.sites.items() if site.path not in whole}
        chosen = places_of(settings, free, where=where)
        return self.put(name, self.make(settings, chosen, rules))

    def put(self, name: str, adapter: Adapter) -> Adapter:
        """Take in an adapter that was made for this model, and switch to it.

        Raises:
            ConfigError: if the name is taken or none.
        """
        if name in self._adapters or not re.fullmatch(r"[\w][\w.\-]{0,63}", name):
            taken = "is there already" if name in self._adapters else "is no name for an adapter"
            raise ConfigError(f"{name!r} {taken}", where="adapter", remedy="Choose another name.")
        self._adapters[name] = adapter
        self.switch(name)
        return adapter

    def share(self, name: str, other: AdapterSet, settings: AdapterSettings, *, where: str = "adapter") -> Adapter:
        """Take in an adapter of another model that has the same encoder as this one, and switch to it: what it changes there
        is one and the same for both; what is trained whole outside of the encoder, such as a head, is each model's own.

        Args:
            name: of the other's adapter, and of this one.
            other: the set of the other model. Both sets were made before the first adapter.
            settings: of the adapter; `save` names modules of this model.
            where: what errors name.

        Raises:
            ConfigError: as `add`.
        """
        theirs = other[name]
        rules = saved_rules(self.model, settings.save, where=f"{where}.save")
        with other.disabled():
            whole = {id(other.model.get_parameter(ours)): parameter for ours, parameter in theirs.parameters.items()}
            fresh = self._whole(rules)
            own = {ours: whole.get(id(self.model.get_parameter(ours)), parameter) for ours, parameter in fresh.items()}
            # an encoder may have parts that this model does not know, such as a pooler
            places = {site.path for site in self.sites.values()}
            modules = {
                path: module
                for path, module in theirs.modules.items()
                if path in places or isinstance(module, VirtualTokens)
            }
            self._base |= {path: other._base[path] for path in modules}
            parts = {site: part for site, part in theirs.parts.items() if not site or site in self.sites}
            return self.put(name, Adapter(settings, parts, modules, own, tuple(rules)))

    def switch(self, name: str | None) -> None:
        """Compute with this adapter; with the model as it was for None.

        Raises:
            ConfigError: if there is no such adapter.
        """
        wanted = None if name is None else self[name]
        self._leave()
        if wanted is None:
            return
        n_virtual = 0
        for path, module in wanted.modules.items():
            place = next((self._base[path] or self.model).parameters(), None)
            _put(self.model, path, module if place is None else module.to(place.device))
            module.train(self.model.training)
            n_virtual += module.n_tokens if isinstance(module, VirtualTokens) else 0
        if n_virtual:
            self.model.config = room_beside(self._config, n_virtual, where="adapter")
        for ours, parameter in wanted.parameters.items():
            now = self.model.get_parameter(ours)
            self._own_parameters.setdefault(ours, now)
            parameter.data = parameter.data.to(now.device)
            _put(self.model, ours, parameter)
        self._active = name

    @contextlib.contextmanager
    def disabled(self) -> Iterator[None]:
        """The model as it was, for a while: the reference of a preference loss, for instance."""
        before, merged = self._active, self._merged
        self.switch(None)
        try:
            yield
        finally:
            self.switch(before)
            if merged:
                self.merge()

    def trained(self) -> list[nn.Parameter]:
        """Everything that belongs to the active adapter; all else stays as it was read."""
        return [] if self._active is None else self._adapters[self._active].trained()

    def merge(self) -> None:
        """Make the active adapter part of the model's own matrices: the same function, at the model's own speed.

        Raises:
            ConfigError: if none is active.
            ModelError: if it is of a kind that is no change of matrices.
        """
        if self._active is None:
            raise ConfigError("no adapter is active that could be merged", where="adapter", remedy="Switch to one.")
        if self._merged:
            return
        adapter = self._adapters[self._active]
        whole = [path for path, module in adapter.modules.items() if not hasattr(module, "merged_weight")]
        if whole:
            raise ModelError(
                f"an adapter of the kind {adapter.settings.method!r} is no change of matrices and cannot be merged",
                where=self._active, remedy="Keep it beside its model.",
            )  # fmt: skip
        for path, module in adapter.modules.items():
            _put(self.model, path, _plain(module))
        self._merged = True

    def unmerge(self) -> None:
        """Take the merged adapter out again: every bit of the model is as before, and the adapter still active."""
        if self._merged:
            self.switch(self._active)

    def remove(self, name: str) -> None:
        """Forget an adapter.

        Raises:
            ConfigError: if there is none of this name.
        """
        self[name]
        if self._active == name:
            self.switch(None)
        del self._adapters[name]

    def _leave(self) -> None:
        if self._active is not None:
            for path in self._adapters[self._active].modules:
                _put(self.model, path, self._base[path])
            for ours in self._adapters[self._active].parameters:
                _put(self.model, ours, self._own_parameters[ours])
        self.model.config = self._config
        self._active, self._merged = None, False

    def make_virtual(
        self,
        settings: PromptSettings | PrefixSettings,
        rules: list[Rule],
        start_ids: Sequence[int] | None = None,
        *,
        where: str = "adapter",
    ) -> Adapter:
        """Fresh virtual tokens, beside modules that are trained whole; `put` takes them in.

        Raises:
            ConfigError: if the model takes none, or has no room for them.
        """
        place = virtual_place(self.model, settings, where=where)
        room_beside(self._config, settings.n_tokens, where=where)
        self._base[place] = None
        part = build_virtual(self.model, place, settings, start_ids)
        return Adapter(settings, {"": part}, {place: part}, self._whole(rules), tuple(rules))

    def make(self, settings: LinearSettings, chosen: list[Site], rules: list[Rule]) -> Adapter:
        """A fresh adapter for these layers and whole modules; `put` takes it in."""
        parts: dict[str, nn.Module] = {}
        modules: dict[str, nn.Module] = {}
        for path in dict.fromkeys(site.path for site in chosen):
            here = [site for site in chosen if site.path == path]
            base = self._base[path]
            assert base is not None
            made, modules[path] = build_layer(settings, here, base)
            parts |= dict(zip((site.name for site in here), made, strict=True))
        return Adapter(settings, parts, modules, self._whole(rules), tuple(rules))

    def _whole(self, rules: Sequence[Rule]) -> dict[str, nn.Parameter]:
        """Fresh copies of the parameters that are trained whole."""
        return {rule.ours: nn.Parameter(self._own(rule.ours).detach().clone()) for rule in rules}

    def _own(self, name: str) -> nn.Parameter:
        """A parameter of the model itself."""
        return self._own_parameters[name] if name in self._own_parameters else self.model.get_parameter(name)


_SET = "_adapter_set"


def adapters_of(model: Any) -> AdapterSet | None:
    """The adapters of a model; None if it never had any."""
    return model.__dict__.get(_SET)


def adapter_sets(model: nn.Module) -> list[AdapterSet]:
    """The adapters of a model, or of the models that it consists of; none if it never had any."""
    return [own for module in model.modules() if (own := adapters_of(module)) is not None]


def _plain(module: Any) -> nn.Linear:
    """A layer that computes the same without an adapter."""
    with torch.no_grad():
        weight = module.merged_weight().detach()
        bias = module.merged_bias() if isinstance(module, IA3Linear) else dense_bias(module.base)
    with torch.device("meta"):
        plain = Linear(weight.shape[1], weight.shape[0], bias is not None, parts=getattr(module.base, "parts", None))
    plain.weight = nn.Parameter(weight, requires_grad=False)
    if bias is not None:
        plain.bias = nn.Parameter(bias, requires_grad=False)
    return plain.train(module.training)


def _put(model: nn.Module, path: str, value: nn.Module | nn.Parameter | None) -> None:
    owner, _, leaf = path.rpartition(".")
    setattr(model.get_submodule(owner), leaf, value)
