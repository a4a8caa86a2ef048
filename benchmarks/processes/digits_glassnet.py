"""The digits model in glassnet, as a script: `python digits_glassnet.py digits.npz`."""

import sys

import numpy as np

import glassnet as gn

with np.load(sys.argv[1]) as file:
    X, y = file["images"].reshape(-1, 64).astype(np.float32) / 16, file["labels"].astype(np.int64)
net = gn.Network(
    [gn.Dense(128, activation="relu"), gn.Dense(64, activation="relu"), gn.Dense(10)], loss="cross_entropy"
)
net.fit(X, y, epochs=20, batch_size=32, optimizer=gn.Adam(1e-3), progress=False)
print(np.mean(net.predict(X) == y))
