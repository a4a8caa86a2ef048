"""The nouns of glassnet: arrays that remember, ops, nodes, graphs, trees, random keys. No mathematics."""
