"""The stages from a graph to kernels with a layout: each a named pass with one job.

loops       a scan becomes a loop over tables; what need not be done step by step leaves it
recall      a backward loop reads what the forward loop knows
types       operands get the type that their op computes in
expand      vector functions, fused pairs, indices, windows and sampling become fewer and simpler ops
simplify    algebra, constants, slices, common subexpressions; each rule is one line of a table
flatten     arrays of any rank become matrices where kernels for matrices can work on them
rearrange   a transpose between reshapes becomes one copy
relay       what does not lie where it is needed is copied by a node of its own
fuse        nodes are gathered into kernels
layout      each value gets its storage, transposed copies where a kernel needs one
memory      storages get their places in one arena

Up to `fuse` the graph is still a graph: the interpreter runs it, and tests compare. `slices`, `sliding` and
`sampling` are tables of rules for these passes, `vocabulary` has the ops that they alone make.
"""
