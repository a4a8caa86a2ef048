"""The nouns of glassnet: arrays that remember, ops, nodes, graphs, trees, random keys. Knows no mathematics."""
