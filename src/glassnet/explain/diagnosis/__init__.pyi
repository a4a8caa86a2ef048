from .diagnosing import VERDICTS as VERDICTS
from .diagnosing import diagnose as diagnose
from .report import LayerNumbers as LayerNumbers
from .report import Report as Report
from .report import Verdict as Verdict
