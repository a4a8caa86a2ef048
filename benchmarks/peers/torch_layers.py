"""The benchmark networks as PyTorch modules: images as (batch, channels, height, width)."""

from __future__ import annotations

from typing import Any

import layers


def network(described: tuple[layers.Layer, ...], row: layers.Shape) -> Any:
    """`nn.Sequential` of the layers, with PyTorch's own initialisation."""
    from torch import nn

    modules: list[Any] = []
    for layer, shape in layers.walk(described, row):
        modules += translate(layer, shape)
    return nn.Sequential(*modules)


def translate(layer: layers.Layer, shape: layers.Shape) -> list[Any]:
    from torch import nn

    match layer:
        case layers.Dense(units, activation):
            own = {None: [], "relu": [nn.ReLU()], "tanh": [nn.Tanh()], "gelu": [nn.GELU()]}[activation]
            return [nn.Linear(shape[-1], units), *own]
        case layers.Dropout(rate):
            return [nn.Dropout(rate)]
        case layers.Convolution(channels, size, padding):
            border = size // 2 if padding == "same" else 0
            return [nn.Conv2d(shape[-1], channels, size, padding=border), nn.ReLU()]
        case layers.MaxPool(size):
            return [nn.MaxPool2d(size)]
        case layers.Flatten():
            return [nn.Flatten()]
        case layers.LSTM(units):
            return [last_state(shape[-1], units)]
        case layers.LayerNorm():
            return [nn.LayerNorm(shape[-1])]
        case layers.Attention(heads):
            return [attention(shape[-1], heads)]
        case layers.Residual(inner):
            return [residual(network(inner, shape))]
        case layers.MeanPool():
            return [mean_pool()]
    raise TypeError(f"PyTorch has no translation of {layer}")


# Modules are classes of a framework that may be missing: each is made inside a function.


def last_state(inputs: int, units: int) -> Any:
    from torch import nn

    class LastState(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.recurrent = nn.LSTM(inputs, units, batch_first=True)

        def forward(self, x: Any) -> Any:
            return self.recurrent(x)[0][:, -1]

    return LastState()


def attention(width: int, heads: int) -> Any:
    from torch import nn
    from torch.nn.functional import scaled_dot_product_attention

    class Attention(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inward, self.outward = nn.Linear(width, 3 * width), nn.Linear(width, width)

        def forward(self, x: Any) -> Any:
            batch, positions, _ = x.shape
            parts = self.inward(x).view(batch, positions, 3, heads, width // heads).permute(2, 0, 3, 1, 4)
            mixed = scaled_dot_product_attention(*parts.unbind(0))  # (batch, heads, positions, width / heads)
            return self.outward(mixed.transpose(1, 2).reshape(batch, positions, width))

    return Attention()


def residual(inner: Any) -> Any:
    from torch import nn

    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = inner

        def forward(self, x: Any) -> Any:
            return x + self.inner(x)

    return Residual()


def mean_pool() -> Any:
    from torch import nn

    class MeanPool(nn.Module):
        def forward(self, x: Any) -> Any:
            return x.mean(1)

    return MeanPool()
