"""Why a network does not learn: verdicts with evidence and advice, causes before their symptoms."""

from glassnet.explain.diagnosis.diagnosing import VERDICTS, diagnose
from glassnet.explain.diagnosis.report import LayerNumbers, Report, Verdict

__all__ = ["VERDICTS", "LayerNumbers", "Report", "Verdict", "diagnose"]
