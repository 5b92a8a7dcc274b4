"""Bulk work: a table or a folder of rows through a bundle, on several workers."""
