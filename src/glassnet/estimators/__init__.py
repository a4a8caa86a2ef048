"""Models that know what their columns mean: a network together with names, scaling and units."""

from glassnet.estimators.plan import Plan, plan_training
from glassnet.estimators.recipe import Recipe
from glassnet.estimators.tabular import TabularModel, fit_table

__all__ = ["Plan", "Recipe", "TabularModel", "fit_table", "plan_training"]
