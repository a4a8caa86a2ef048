"""The names of the faults that a diagnosis may find; the expected verdicts of the corpus are among them."""

from __future__ import annotations

FAULTS: dict[str, str] = {
    "symmetric_units": "the units of a layer start equal and stay copies of one unit, or learn nothing",
    "large_weights": "initial weights out of proportion to the fan, so that z grows or shrinks by layer",
    "vanishing_gradients": "the gradient shrinks towards the input, by layer or by step of a sequence",
    "exploding_gradients": "the gradient grows towards the input, by layer or by step of a sequence",
    "dead_units": "rectifiers that give zero for every row and let no gradient through",
    "saturated_units": "sigmoid or tanh units at their flat ends for nearly every row",
    "frozen_layer": "parameters that do not move although they have a gradient",
    "learning_rate_too_high": "steps so long that the loss jumps, diverges or stays high",
    "learning_rate_too_low": "steps so short that the loss is still falling evenly at the end",
    "momentum_too_high": "steps that accumulate to more than the rate allows, so that the loss swings",
    "batch_too_small": "a gradient with more noise than signal",
    "input_scale": "features on very different scales, or far from the order of 1",
    "constant_feature": "a column that is the same in every row",
    "duplicate_feature": "two columns that are the same but for their scale",
    "target_scale": "targets far from the order of 1",
    "output_range": "targets that the output activation cannot give",
    "wrong_loss": "a loss for another kind of target",
    "repeated_output_activation": "a softmax or sigmoid in the network and once more in the loss",
    "random_labels": "labels that have nothing to do with the inputs",
    "mislabelled_rows": "a part of the rows has wrong labels",
    "class_imbalance": "a class so frequent that the others are hardly predicted",
    "underfitting": "too little capacity: the training rows are not fitted, and the gradient is near zero",
    "overfitting": "a validation loss that rises far above the training loss",
    "too_much_regularization": "a penalty that outweighs the loss of the data",
    "dropout_too_high": "so much is dropped that the signal drowns",
    "too_few_epochs": "training that ended while the loss fell quickly",
    "non_finite": "NaN or infinity in a loss, an activation, a gradient or a parameter",
    "sharp_minimum": "a curvature at or above what the rate allows",
}
