"""How operations become loops: one file a topic, under the names of `glassnet.ops`."""
