"""A diagram in DOT, the language of Graphviz."""
