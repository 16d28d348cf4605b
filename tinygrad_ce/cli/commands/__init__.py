"""The commands, a module for each: its options, what it does, and what it prints.

A module has `add_arguments(parser)`, which names the options, and `run(arguments)`, which does the
work and returns the exit status; the docstring of `run` is the text of ``--help``. Results go to
stdout, progress and remarks to stderr.
"""
