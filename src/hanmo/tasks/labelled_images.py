"""Images in a folder for each class: read by name, and told apart without training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from hanmo.core.errors import DataError
from hanmo.core.paths import existing_path
from hanmo.tasks.image_matcher import ImageMatcher
from hanmo.tasks.text_examples import TextExample
from hanmo.tasks.zero_shot import filled_templates

__all__ = ["ZeroShotImageClassifier", "read_labelled_images"]


def read_labelled_images(folder: str | Path, names: Mapping[str, str]) -> list[TextExample]:
    """The files of a folder, each with the name of the folder in it that it lies in as its label, and its path as text.

    Hidden files and folders are passed over. Whether a file is an image is seen when it is opened.

    Args:
        folder: has a folder for each class.
        names: readable names of these folders, all or none.

    Raises:
        DataError: if there is no such folder, one has no file or something other than files, or has no name.
    """
    home = Path(existing_path(str(folder)))
    if not home.is_dir():
        raise DataError("not a folder with a folder of images for each class", where=home)
    found = []
    for inner in sorted(entry for entry in home.iterdir() if not entry.name.startswith(".")):
        if not inner.is_dir():
            raise DataError("a file that lies in no folder of a class", where=inner, remedy="Move it into one.")
        if names and inner.name not in names:
            raise DataError(f"the class {inner.name!r} is not in [data] names ({', '.join(names)})", where=inner)
        files = sorted(entry for entry in inner.iterdir() if not entry.name.startswith("."))
        if other := next((entry for entry in files if not entry.is_file()), None):
            raise DataError("a folder inside the folder of a class", where=other, remedy="Move its files up.")
        if not files:
            raise DataError("a class without images", where=inner)
        label = names.get(inner.name, inner.name)
        found += [TextExample(str(file), None, label, str(file)) for file in files]
    if not found:
        raise DataError("there is no folder of a class here", where=home)
    return found


class ZeroShotImageClassifier:
    """A model of images and texts with the labels of a task, which can be judged like a classifier that was trained for it."""

    thresholds = None

    def __init__(self, matcher: ImageMatcher, labels: Sequence[str], template: str):
        """Args:
        matcher: tells which text goes with an image.
        labels: in words.
        template: a sentence with {} for the label.

        Raises:
            ConfigError: for a template without {}.
        """
        self.matcher, self.labels, self.sentences = matcher, tuple(labels), filled_templates(template, labels)

    def probabilities(self, images: Sequence[str]) -> np.ndarray:
        """Of the labels of each image, (N, L) float32.

        Raises:
            DataError: for a file that is no image.
        """
        return self.matcher.match(images, self.sentences)
