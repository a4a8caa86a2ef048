"""The digits model in Keras, as a script: `python digits_keras.py digits.npz`."""

import os
import sys

os.environ["KERAS_BACKEND"] = "jax"
import keras
import numpy as np

with np.load(sys.argv[1]) as file:
    X, y = file["images"].reshape(-1, 64).astype(np.float32) / 16, file["labels"].astype(np.int64)
net = keras.Sequential(
    [
        keras.Input((64,)),
        keras.layers.Dense(128, activation="relu"),
        keras.layers.Dense(64, activation="relu"),
        keras.layers.Dense(10),
    ]
)
loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
net.compile(optimizer=keras.optimizers.Adam(1e-3), loss=loss, jit_compile=True)
net.fit(X, y, batch_size=32, epochs=20, verbose=0)
print(np.mean(net.predict(X, verbose=0).argmax(1) == y))
