"""From what was asked for to the layers that take the place of frozen ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import nn

from hanmo.core.errors import ConfigError
from hanmo.models.adapter_settings import BottleneckSettings, IA3Settings, LoraSettings
from hanmo.models.adapter_sites import Site, choose_sites, matches, pattern_value
from hanmo.nn.bottleneck import Bottleneck, BottleneckLinear
from hanmo.nn.frozen_linear import dense_weight
from hanmo.nn.ia3 import IA3Linear, Scaling
from hanmo.nn.lora import LoraLinear, LowRank

__all__ = ["LinearSettings", "build_layer", "places_of"]

LinearSettings = LoraSettings | IA3Settings | BottleneckSettings
"""Adapters that take the place of linear layers."""

_BEHIND = {
    "houlsby": ("attention.inner.out", "feedforward.inner.out"),
    "pfeiffer": ("feedforward.inner.out",),
}
"""Ends of our paths of the matrices that each sublayer ends with."""


def places_of(settings: LinearSettings, sites: Mapping[str, Site], *, where: str) -> list[Site]:
    """The layers that an adapter goes to.

    Raises:
        ConfigError: if there are none, or a pattern names nothing.
    """
    if isinstance(settings, BottleneckSettings):
        found = [site for site in sites.values() if site.path.endswith(_BEHIND[settings.places])]
        if not found:
            raise ConfigError(
                "this model has no attention and feed-forward layers", where=where, remedy='Take method = "lora".'
            )
        return found
    chosen = choose_sites(sites, settings.targets, where=f"{where}.targets")
    if isinstance(settings, IA3Settings) and settings.inputs:
        some = {site.name: site for site in chosen}
        for site in choose_sites(some, settings.inputs, where=f"{where}.inputs"):
            if any(other.path == site.path and other is not site for other in sites.values()):
                raise ConfigError(
                    f"inputs of {site.name} cannot be scaled alone: it is one matrix with others here",
                    where=f"{where}.inputs", remedy="Scale its outputs, or the inputs of another layer.",
                )  # fmt: skip
    return chosen


def build_layer(
    settings: LinearSettings, sites: Sequence[Site], base: nn.Module
) -> tuple[Sequence[nn.Module], nn.Module]:
    """Fresh parts, one for each site of a matrix, and the layer that has them."""
    match settings:
        case LoraSettings():
            parts = [_low_rank(site, settings, base) for site in sites]
            return parts, LoraLinear(base, parts, dropout=settings.dropout)
        case IA3Settings():
            factors = [_scaling(site, settings) for site in sites]
            return factors, IA3Linear(base, factors)
        case BottleneckSettings():
            part = Bottleneck(sites[0].rows, settings.size, activation=settings.activation, dropout=settings.dropout)
            return [part], BottleneckLinear(base, part)


def _scaling(site: Site, settings: IA3Settings) -> Scaling:
    of_inputs = matches(site.name, settings.inputs)
    return Scaling(site.d_in if of_inputs else site.rows, start=site.start, of_inputs=of_inputs)


def _low_rank(site: Site, settings: LoraSettings, base: nn.Module) -> LowRank:
    rank = pattern_value(settings.ranks, site.name, settings.rank)
    alpha = pattern_value(settings.alphas, site.name, settings.alpha)
    scale = alpha / (rank**0.5 if settings.rslora else rank)
    part = LowRank(site.d_in, site.rows, start=site.start, rank=rank, scale=scale)
    if settings.dora:
        part.add_magnitude(dense_weight(base)[part.span])
    return part
