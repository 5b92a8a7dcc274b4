"""The check `structure`: what a file's graph shows without running it."""
