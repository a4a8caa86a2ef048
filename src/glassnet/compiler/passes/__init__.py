"""The stages from a graph to kernels with a layout: each a named pass with one job.

expand      vector functions and fused pairs become elementwise ops and row reductions
simplify    algebra, constants, common subexpressions; each rule is one line of a table
images      what hangs together with convolutions is written for images, and these are put into groups
fuse        nodes are gathered into kernels
layout      each value gets its storage, transposed copies where a kernel needs one
memory      storages get their places in one arena

After `expand` and `simplify` the graph is still a graph: the interpreter runs it, and tests compare.
"""
