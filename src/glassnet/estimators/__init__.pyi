from .plan import Plan as Plan
from .plan import plan_training as plan_training
from .recipe import Recipe as Recipe
from .tabular import TabularModel as TabularModel
from .tabular import fit_table as fit_table
