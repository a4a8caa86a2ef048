"""The compiler: graph, loop language, LLVM IR text, native code."""
