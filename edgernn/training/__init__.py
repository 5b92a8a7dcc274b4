"""Training: one loop, the tasks that run on it, and what makes a run resumable and shareable over
processes.
"""
