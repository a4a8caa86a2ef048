"""The digits model in scikit-learn, as a script: `python digits_sklearn.py digits.npz`."""

import sys
import warnings

import numpy as np
from sklearn.neural_network import MLPClassifier

warnings.simplefilter("ignore")  # it ends before it has converged, and says so
with np.load(sys.argv[1]) as file:
    X, y = file["images"].reshape(-1, 64).astype(np.float32) / 16, file["labels"].astype(np.int64)
net = MLPClassifier((128, 64), alpha=0, batch_size=32, max_iter=20)  # pyright: ignore[reportArgumentType]
net.fit(X, y)
print(np.mean(net.predict(X) == y))
