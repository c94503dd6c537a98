"""What a trained model is worth, and the pages that say so: held-out figures, report, model card."""

from __future__ import annotations

from hanmo.evaluation.card import write_model_card
from hanmo.evaluation.perplexity import evaluate_blocks
from hanmo.evaluation.report import write_report
from hanmo.evaluation.run_files import RunRecord, read_run
from hanmo.evaluation.samples import choose_prompts
from hanmo.evaluation.segmentations import show_tokens

__all__ = [
    "RunRecord",
    "choose_prompts",
    "evaluate_blocks",
    "read_run",
    "show_tokens",
    "write_model_card",
    "write_report",
]
