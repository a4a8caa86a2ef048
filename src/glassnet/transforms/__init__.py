"""Transforms: functions to functions, graphs to graphs. Derivatives, batching, and the verifier."""
