"""One reader of containers, by content: what a file holds, as plain values, arrays and inert
stubs.
"""
