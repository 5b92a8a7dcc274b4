"""Machines that a step is built for, a row each, and libraries of it that a bundle carries."""
