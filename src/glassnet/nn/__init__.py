"""Layers: frozen dataclasses with `init` and a pure call on ONE example; vmap adds the batch."""

from glassnet.nn.activation import Activation
from glassnet.nn.attention import MultiHeadAttention, scaled_dot_product_attention
from glassnet.nn.bidirectional import Bidirectional
from glassnet.nn.bilinear import Bilinear
from glassnet.nn.compose import Compose
from glassnet.nn.container import Container
from glassnet.nn.convolution import Conv1D, Conv2D, Conv3D
from glassnet.nn.dense import Dense
from glassnet.nn.dropout import Dropout, SpatialDropout
from glassnet.nn.embedding import Embedding
from glassnet.nn.function import Lambda
from glassnet.nn.gru import GRU
from glassnet.nn.layer import LAYERS, ActivatedLayer, Layer, Parameters
from glassnet.nn.lstm import LSTM
from glassnet.nn.masking import Masking
from glassnet.nn.maxout import Maxout
from glassnet.nn.noise import GaussianDropout, GaussianNoise
from glassnet.nn.normalisation import BatchNorm, GroupNorm, LayerNorm, RMSNorm
from glassnet.nn.parallel import Add, Multiply, Parallel
from glassnet.nn.pooling import (
    AveragePool1D,
    AveragePool2D,
    AveragePool3D,
    GlobalAveragePool1D,
    GlobalAveragePool2D,
    GlobalAveragePool3D,
    GlobalMaxPool1D,
    GlobalMaxPool2D,
    GlobalMaxPool3D,
    MaxPool1D,
    MaxPool2D,
    MaxPool3D,
)
from glassnet.nn.positions import LearnedPositions, SinusoidalPositions
from glassnet.nn.prelu import PReLU
from glassnet.nn.recurrent import Recurrent, SimpleRNN
from glassnet.nn.recurrent_formats import from_keras, from_pytorch
from glassnet.nn.reshaping import Flatten, Permute, Reshape
from glassnet.nn.residual import Residual
from glassnet.nn.resizing import (
    Cropping1D,
    Cropping2D,
    Cropping3D,
    UpSampling1D,
    UpSampling2D,
    UpSampling3D,
    ZeroPad1D,
    ZeroPad2D,
    ZeroPad3D,
)
from glassnet.nn.run import Run
from glassnet.nn.sequential import Sequential
from glassnet.nn.time_distributed import TimeDistributed
from glassnet.nn.transposed_convolution import Conv1DTranspose, Conv2DTranspose, Conv3DTranspose

__all__ = [
    "GRU",
    "LAYERS",
    "LSTM",
    "ActivatedLayer",
    "Activation",
    "Add",
    "AveragePool1D",
    "AveragePool2D",
    "AveragePool3D",
    "BatchNorm",
    "Bidirectional",
    "Bilinear",
    "Compose",
    "Container",
    "Conv1D",
    "Conv1DTranspose",
    "Conv2D",
    "Conv2DTranspose",
    "Conv3D",
    "Conv3DTranspose",
    "Cropping1D",
    "Cropping2D",
    "Cropping3D",
    "Dense",
    "Dropout",
    "Embedding",
    "Flatten",
    "GaussianDropout",
    "GaussianNoise",
    "GlobalAveragePool1D",
    "GlobalAveragePool2D",
    "GlobalAveragePool3D",
    "GlobalMaxPool1D",
    "GlobalMaxPool2D",
    "GlobalMaxPool3D",
    "GroupNorm",
    "Lambda",
    "Layer",
    "LayerNorm",
    "LearnedPositions",
    "Masking",
    "MaxPool1D",
    "MaxPool2D",
    "MaxPool3D",
    "Maxout",
    "MultiHeadAttention",
    "Multiply",
    "PReLU",
    "Parallel",
    "Parameters",
    "Permute",
    "RMSNorm",
    "Recurrent",
    "Reshape",
    "Residual",
    "Run",
    "Sequential",
    "SimpleRNN",
    "SinusoidalPositions",
    "SpatialDropout",
    "TimeDistributed",
    "UpSampling1D",
    "UpSampling2D",
    "UpSampling3D",
    "ZeroPad1D",
    "ZeroPad2D",
    "ZeroPad3D",
    "from_keras",
    "from_pytorch",
    "scaled_dot_product_attention",
]
