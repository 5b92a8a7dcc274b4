"""Bundles on a model hub, through huggingface_hub, or in a folder that stands for one."""
