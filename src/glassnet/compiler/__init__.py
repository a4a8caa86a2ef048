"""The compiler: graph, loop language, LLVM IR text, native code."""

from glassnet.compiler.epoch import CompiledRunner
from glassnet.compiler.function import compile_graph

__all__ = ["CompiledRunner", "compile_graph"]
