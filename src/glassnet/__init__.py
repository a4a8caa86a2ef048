"""glassnet: neural networks you can see through, trained at the speed of the hardware.

Every name is loaded when it is first asked for, so that a script pays for what it uses alone.
"""

from lazy_loader import attach

from glassnet import nn  # the names of the layers; no layer is loaded yet

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = attach(
    __name__,
    {"data", "estimators", "losses", "nn", "numpy", "optim", "random", "train"},
    {
        "execute": ["compile"],
        "explain": ["derive", "diagram", "exercise"],
        "losses": ["L1", "L2", "Elastic"],
        "network": ["Network"],
        "nn": nn.__all__,  # pyright: ignore[reportAttributeAccessIssue] - the stub has none
        "ops.control": ["checkpoint", "cond", "while_loop"],
        "ops.scan": ["scan"],
        "ops.structural": ["stop_gradient"],
        "optim": [
            *("Accumulate", "Adadelta", "Adagrad", "Adam", "AdamW", "Adamax", "AdaptiveClip", "AMSGrad"),
            *("chain", "ClipByGlobalNorm", "ClipByNorm", "ClipByValue", "ConjugateGradient", "EMA", "Freeze"),
            *("LAMB", "LayerRates", "LBFGS", "LevenbergMarquardt", "Lion", "Muon", "Nadam", "RAdam"),
            *("RMSprop", "Rprop", "SAM", "ScheduleFree", "SGD", "SWA"),
        ],
        "persist": ["load"],
        "train": ["Convergence", "EarlyStopping", "StopTraining", "TimeLimit", "minimize"],
        "transforms.batch": ["vmap"],
        "transforms.check": ["check_grads"],
        "transforms.curvature": ["gauss_newton_product", "hessian", "hvp"],
        "transforms.custom": ["custom"],
        "transforms.derivatives": ["grad", "jacobian", "jvp", "value_and_grad", "vjp"],
        "transforms.tracing": ["graph"],
    },
)
