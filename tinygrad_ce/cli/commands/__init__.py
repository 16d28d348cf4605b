"""The commands, a module for each.

`add_arguments(parser)` names the options; `run(arguments)` does the work and returns the exit
status; its docstring is the text of ``--help``. Results go to stdout, remarks to stderr.
"""
