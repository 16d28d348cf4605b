"""A program as C source: one function that a person can read, in an extension module of Python."""
