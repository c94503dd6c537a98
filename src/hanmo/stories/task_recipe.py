"""What the recipes of all tasks over labelled examples have in common, checked whole before any work starts."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, model_validator

from hanmo.core.settings import Settings, differs
from hanmo.models.adapter_settings import NEEDS_A_BASE, AnyAdapter
from hanmo.stories.study_recipe import StudySection
from hanmo.training.settings import AveragingSettings, ScheduleSettings, TrainingSettings

if TYPE_CHECKING:
    from hanmo.stories.task_story import TaskWork

__all__ = ["EncoderSection", "TaskRecipe", "TaskTraining"]


class EncoderSection(Settings):
    """A trained model to start from, or the shape of one that starts from nothing."""

    checkpoint: str | None = None
    """Model directory or name on the Hugging Face hub; its stack is taken, and its head starts fresh."""
    encoder: Literal["bag", "cnn", "bilstm", "transformer"] = "cnn"
    """Without a checkpoint: mean of word vectors, convolutions (Kim, 2014), LSTM both ways, or a small BERT."""
    vocab_size: int = Field(default=20_000, ge=6)
    """Most words that are known; Chinese is cut into characters."""
    min_count: int = Field(default=2, ge=1)
    """Words seen less often in training are unknown."""
    lowercase: bool = True
    """Make words of one that differ in case alone."""
    d_embedding: int = Field(default=128, ge=1)
    """Width of word vectors; of the whole Transformer."""
    d_hidden: int = Field(default=128, ge=1)
    """Filters of each width, or width of each direction of the LSTM."""
    widths: tuple[int, ...] = (2, 3, 4)
    """Words that convolutions see."""
    n_layers: int = Field(default=1, ge=1)
    """Layers of LSTM or Transformer."""
    n_heads: int = Field(default=4, ge=1)
    """Attention heads of the Transformer."""
    max_len: int = Field(default=512, ge=8)
    """Longest row of the Transformer, in tokens; longer texts become windows."""
    dropout: float | None = Field(default=None, ge=0, lt=1)
    """Share of elements dropped in training: of word vectors and before the head. 0.3 if None; of a checkpoint its own."""
    embeddings: str | None = None
    """Word vectors of dim d_embedding, a file or a folder of `hanmo vectors train`."""
    freeze_embeddings: bool = False
    """Keep the word vectors as they are."""

    @property
    def shape_fields(self) -> frozenset[str]:
        """What cannot be chosen for a checkpoint."""
        return frozenset(type(self).model_fields) - {"checkpoint", "dropout"}

    @model_validator(mode="after")
    def _checkpoint_has_a_shape(self) -> EncoderSection:
        given = {name for name in self.shape_fields if differs(self, name)}
        if self.checkpoint is not None and given:
            raise ValueError(
                f"{', '.join(sorted(given))} cannot be chosen with a checkpoint, whose shape is its own; leave them out"
            )
        if self.freeze_embeddings and self.embeddings is None:
            raise ValueError("freeze_embeddings without embeddings would freeze random numbers; give both")
        if self.encoder == "transformer" and self.d_embedding % self.n_heads:
            raise ValueError(f"d_embedding = {self.d_embedding} is not a multiple of n_heads = {self.n_heads}")
        return self


class TaskTraining(TrainingSettings):
    """How a model is trained on examples. Give the length as `epochs`, `n_steps` or `minutes`."""

    epochs: float | None = Field(default=None, gt=0)
    """Times that each example is seen."""
    lr: float = Field(default=1e-3, gt=0)
    """Highest learning rate; about 3e-5 for a checkpoint."""
    weight_decay: float = Field(default=0.01, ge=0)
    """Decoupled weight decay of matrices and embeddings."""
    beta2: float = Field(default=0.999, ge=0, lt=1)
    """AdamW: decay of the mean of squared gradients."""
    schedule: ScheduleSettings = ScheduleSettings(warmup_fraction=0.1, final_fraction=0.0)
    """Learning rate over the run."""
    patience: int | None = Field(default=3, ge=1)
    """Stop after this many evaluations without improvement, and return to the best weights."""
    monitor: str = "error"
    """Entry of the evaluation that `patience` watches: small is good of losses, errors and perplexity, large of all others."""
    unfreeze_every: float | None = Field(default=None, gt=0)
    """Train the head alone for so many epochs, then one more layer from the top after as many each; `unfreeze_steps`
    says it in steps."""
    compile: Literal["auto", "on", "off"] = "off"
    """`torch.compile`; rows of many lengths make it slow to start."""

    @model_validator(mode="after")
    def _one_length(self) -> TaskTraining:
        if sum(length is not None for length in (self.epochs, self.n_steps, self.minutes)) != 1:
            raise ValueError("give the length of training as one of epochs, n_steps and minutes")
        if self.unfreeze_every is not None and self.unfreeze_steps is not None:
            raise ValueError("unfreeze_every and unfreeze_steps say the same; give one of them")
        return self

    def fitted(self, n_batches: int) -> TrainingSettings:
        """The same for the loop: epochs as steps, and an evaluation after each epoch unless told otherwise.

        Args:
            n_batches: micro-batches in an epoch.
        """
        per_epoch = n_batches / self.accumulate
        values = self.model_dump(exclude={"epochs", "unfreeze_every"})
        if self.epochs is not None:
            values["n_steps"] = max(1, round(self.epochs * per_epoch))
        if self.unfreeze_every is not None:
            values["unfreeze_steps"] = max(1, round(self.unfreeze_every * per_epoch))
        if self.eval_every is None:
            values["eval_every"] = max(1, round(per_epoch))
        return TrainingSettings.model_validate(values)


class TaskRecipe(Settings):
    """Labelled examples → model → evaluation → report. A task adds `task`, its `data` and its `model`."""

    name: str = Field(default="task", pattern=r"^[\w.\-]{1,64}$")
    """Name of the run; the folder is runs/NAME unless told otherwise."""
    seed: int = Field(default=0, ge=0)
    """Seed of what is set aside, the initial weights, the data order and dropout."""
    lang: Literal["en", "zh"] = "en"
    """Language of the report."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:1, mps."""
    batch_size: int = Field(default=32, ge=1)
    """Rows in a micro-batch."""
    training: TaskTraining = TaskTraining(epochs=5)
    share: float | None = Field(default=None, gt=0, le=1)
    """Share of the training examples to learn from; all of them if None. The classes are those of all."""
    study: StudySection | None = None
    """Several runs of this recipe, with changes; one if None."""
    averaging: AveragingSettings | None = None
    """The single best weights if None."""
    adapter: AnyAdapter | None = None
    """Train a few numbers beside the checkpoint, which stays as it is; train all of it if None."""

    @model_validator(mode="after")
    def _adapters_have_a_base(self) -> TaskRecipe:
        if self.adapter is not None and getattr(getattr(self, "model", None), "checkpoint", None) is None:
            raise ValueError(NEEDS_A_BASE)
        return self

    @model_validator(mode="after")
    def _soups_have_one_beginning(self) -> TaskRecipe:
        if self.study is None or not self.study.soup:
            return self
        data = getattr(self, "data", None)
        if data is None:
            raise ValueError("soup: several tasks on one encoder have no mean yet; leave it out")
        if getattr(getattr(self, "model", None), "checkpoint", None) is None or self.adapter is not None:
            raise ValueError(
                "soup: only runs that train all of one model.checkpoint have weights whose mean means something"
            )
        if self.study.seeds and data.dev is None:
            raise ValueError("soup: each seed sets aside another part of train for dev; give data.dev")
        return self

    @property
    @abstractmethod
    def sources(self) -> tuple[str, ...]:
        """Files and folders that it reads."""

    @abstractmethod
    def work(self) -> TaskWork[Any, Any]:
        """How each stage is done."""
