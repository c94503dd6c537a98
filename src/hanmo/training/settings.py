"""Settings of a training run: how long, how fast to learn, when to look, when to save, when to stop."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from hanmo.core.settings import Settings

__all__ = ["AveragingSettings", "ScheduleSettings", "TrainingSettings"]


class ScheduleSettings(Settings):
    """Shape of the learning rate over the run; lengths are fractions, so that it fits any number of steps."""

    kind: Literal["cosine", "wsd", "inverse_sqrt"] = "cosine"
    """`cosine`: warm-up, then half a cosine down. `wsd`: warm-up, stable, then decay. `inverse_sqrt`: warm-up, then down
    with 1 / √step, whatever the length of the run."""
    warmup_steps: int | None = Field(default=None, ge=0)
    """Steps of linear warm-up; takes the place of `warmup_fraction`."""
    warmup_fraction: float = Field(default=0.05, ge=0, lt=1)
    """Share of all steps spent on linear warm-up."""
    decay_fraction: float | None = Field(default=None, gt=0, le=1)
    """Share of all steps spent on the final decay; `wsd` only, where it is 0.2 unless given."""
    final_fraction: float = Field(default=0.1, ge=0, le=1)
    """Learning rate at the end, as a share of the highest; of no effect with `inverse_sqrt`."""

    @model_validator(mode="after")
    def _decay_belongs_to_wsd(self) -> ScheduleSettings:
        if self.kind != "wsd" and self.decay_fraction is not None:
            raise ValueError(
                f"decay_fraction has no effect with kind = '{self.kind}'; use kind = 'wsd' or leave it out"
            )
        return self


class TrainingSettings(Settings):
    """How a model is trained. Give the length as `n_steps` or as `minutes`."""

    n_steps: int | None = Field(default=None, ge=1)
    """Optimizer steps."""
    minutes: float | None = Field(default=None, gt=0)
    """Time budget in minutes. The number of steps is fitted to the speed measured on this machine: before the first,
    and with the schedule `wsd` once more before its decay."""
    accumulate: int = Field(default=1, ge=1)
    """Micro-batches per optimizer step; does not change the result, only the memory."""

    optimizer: Literal["adamw", "muon"] = "adamw"
    """`adamw`, or `muon` for the matrices between embedding and head and AdamW for the rest."""
    lr: float = Field(default=1e-3, gt=0)
    """Highest learning rate, reached at the end of the warm-up."""
    muon_lr: float | None = Field(default=None, gt=0)
    """Highest learning rate of the matrices that Muon updates, whose updates are scaled to the size of AdamW's; follows
    the same schedule as `lr`, and is `lr` if None."""
    muon_momentum: float = Field(default=0.95, ge=0, lt=1)
    """Muon: decay of the mean of gradients."""
    schedule: ScheduleSettings = ScheduleSettings()
    """Learning rate over the run."""
    weight_decay: float = Field(default=0.1, ge=0)
    """Decoupled weight decay of matrices and embeddings (Loshchilov & Hutter, 2019); norms and biases have none."""
    beta1: float = Field(default=0.9, ge=0, lt=1)
    """AdamW: decay of the mean of gradients."""
    beta2: float = Field(default=0.95, ge=0, lt=1)
    """AdamW: decay of the mean of squared gradients."""
    eps: float = Field(default=1e-8, gt=0)
    """AdamW: added to the denominator."""
    head_lr: float | None = Field(default=None, gt=0)
    """Highest learning rate of the head, by AdamW; follows the same schedule as `lr`, and is `lr` if None. A fresh head, and
    above all the transitions of a CRF, have further to go than a stack that was trained before."""
    layer_decay: float | None = Field(default=None, gt=0, le=1)
    """What the learning rate is multiplied by for each layer further from the head (Howard & Ruder, 2018, §3.1; Clark et
    al., 2020, appendix B): the head has all of it, embeddings least. None: the same everywhere."""
    unfreeze_steps: int | None = Field(default=None, ge=1)
    """Train the head alone for so many steps, then one more layer from the top after as many each (gradual unfreezing,
    Howard & Ruder, 2018, §3.3). `patience` waits until all are trained. None: all from the first step."""
    clip_norm: float | None = Field(default=1.0, gt=0)
    """Largest global norm of the gradient of the mean loss; longer ones are scaled down to it."""

    eval_every: int | None = Field(default=None, ge=1)
    """Steps between evaluations; None evaluates at the end only."""
    patience: int | None = Field(default=None, ge=1)
    """Stop after this many evaluations without improvement, and return to the best weights; None never does."""
    monitor: str = "loss"
    """Entry of the evaluation that `patience` watches: small is good of losses, errors and perplexity, large of all others."""
    min_delta: float = Field(default=0.0, ge=0)
    """Smallest change of `monitor` for the better that counts as improvement."""

    checkpoint_steps: int | None = Field(default=None, ge=1)
    """Steps between checkpoints. One is always written before the first step, at the end, and on SIGTERM or Ctrl-C."""
    checkpoint_seconds: float | None = Field(default=120.0, ge=0)
    """Seconds between checkpoints, whichever comes first."""
    keep_checkpoints: int = Field(default=2, ge=1)
    """Newest checkpoints to keep; the best one is kept besides when `patience` is set."""

    nan_policy: Literal["stop", "skip"] = "stop"
    """On a NaN or infinite loss or gradient: stop before the step, or skip it (three in a row stop all the same)."""
    compile: Literal["auto", "on", "off"] = "auto"
    """`torch.compile`: where the machine can and a rehearsal shows it to pay, always, or never."""
    autocast: Literal["auto", "bf16", "off"] = "auto"
    """Precision of matrix products: what was measured as fastest here, bfloat16, or full float32."""
    seed: int = Field(default=0, ge=0)
    """Seed of dropout and everything else that draws from the global generators during training."""
    deterministic: bool = False
    """Refuse operations without a deterministic implementation (`torch.use_deterministic_algorithms`)."""

    log_every: int = Field(default=1, ge=1)
    """Steps between lines of metrics.jsonl."""
    tensorboard: bool = False
    """Mirror the metrics into `tensorboard/` of the run folder; needs the extra `track`."""

    @model_validator(mode="after")
    def _one_length(self) -> TrainingSettings:
        if (self.n_steps is None) == (self.minutes is None):
            raise ValueError("give the length of training either as n_steps or as minutes")
        return self


class AveragingSettings(Settings):
    """The mean of the weights of the last checkpoints (Vaswani et al., 2017, §6.1)."""

    last: int = Field(default=5, ge=2)
    """How many; one is written at each evaluation. Kept where it does better on dev than the single best."""
