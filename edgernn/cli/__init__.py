"""The command line: one thin file per command; each parses, calls one function and prints one
result.
"""
