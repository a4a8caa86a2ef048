"""The digits model in PyTorch, as a script: `python digits_torch.py digits.npz`."""

import sys

import numpy as np
import torch
from torch import nn

with np.load(sys.argv[1]) as file:
    X = torch.from_numpy(file["images"].reshape(-1, 64).astype(np.float32) / 16)
    y = torch.from_numpy(file["labels"].astype(np.int64))
net = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 10))
optimizer = torch.optim.Adam(net.parameters(), fused=True)
for _ in range(20):
    rows = torch.randperm(len(X))
    for X_batch, y_batch in zip(X[rows].split(32), y[rows].split(32), strict=True):
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(X_batch), y_batch).backward()
        optimizer.step()
with torch.no_grad():
    print((net(X).argmax(1) == y).double().mean().item())
