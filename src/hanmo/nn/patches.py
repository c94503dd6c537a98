"""From an image to the vectors that the first layer sees (Dosovitskiy et al., 2021, eq. 1).

Shapes: B batch, C channels, P side of a patch in pixels, G patches along a side of a training image, D d_model.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hanmo.core.errors import ConfigError
from hanmo.nn.linear import Linear, Lookup

__all__ = ["PatchEmbedding"]


class PatchEmbedding(nn.Module):
    """A vector for the whole image and one for each patch, plus position vectors.

    A convolution whose stride is its width is one matrix product over patches that do not overlap, and is computed so.
    """

    def __init__(self, d_model: int, *, image_size: int, patch_size: int, n_channels: int = 3):
        """Args:
        image_size: height and width of images, in pixels.
        patch_size: P; pixels beyond the last whole patch are not seen.
        n_channels: C.
        """
        super().__init__()
        self.image_size = image_size
        self.patch_size = patch_size
        self.n_channels = n_channels
        self.grid = image_size // patch_size
        self.whole = nn.Parameter(torch.zeros(d_model))
        self.project = Linear(n_channels * patch_size**2, d_model, bias=False)
        self.positions = Lookup(self.grid**2 + 1, d_model)

    def forward(self, pixels: Tensor, *, interpolate: bool = False) -> Tensor:
        """(B, C, height, width) → (B, 1 + patches, D).

        Args:
            interpolate: take images of other sizes, with position vectors interpolated between those learned.

        Raises:
            ConfigError: for an image of another size or number of channels.
        """
        if pixels.dim() != 4 or pixels.shape[0] == 0 or pixels.shape[1] != self.n_channels:
            raise ConfigError(
                f"expected images of shape (B, {self.n_channels}, height, width), got {tuple(pixels.shape)}",
                where="pixel_values",
            )
        height, width = pixels.shape[2:]
        if not interpolate and (height, width) != (self.image_size, self.image_size):
            raise ConfigError(
                f"images are {height} by {width} pixels, this model takes {self.image_size} by {self.image_size}",
                where="pixel_values",
                remedy="Resize and crop them as preprocessor_config.json says, or pass interpolate_pos_encoding=True.",
            )
        rows, columns, side = height // self.patch_size, width // self.patch_size, self.patch_size
        if not rows or not columns:
            raise ConfigError(f"images of {height} by {width} pixels hold no patch of {side}", where="pixel_values")
        patches = pixels[:, :, : rows * side, : columns * side].to(self.project.weight.dtype)
        patches = patches.unflatten(3, (columns, side)).unflatten(2, (rows, side))  # (B, C, rows, P, columns, P)
        x = self.project(patches.permute(0, 2, 4, 1, 3, 5).flatten(3).flatten(1, 2))  # (B, patches, D)
        x = torch.cat((self.whole.expand(x.shape[0], 1, -1), x), dim=1)
        return x + self._positions(rows, columns)

    def _positions(self, rows: int, columns: int) -> Tensor:
        learned = self.positions.weight
        if rows == columns == self.grid:
            return learned
        grid = learned[1:].unflatten(0, (self.grid, self.grid)).permute(2, 0, 1)[None]  # (1, D, G, G)
        grid = F.interpolate(grid, size=(rows, columns), mode="bicubic", align_corners=False)
        return torch.cat((learned[:1], grid[0].flatten(1).t()))
