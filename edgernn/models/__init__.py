"""Recurrent models as small ``nn.Module``s, and the checkpoint folder that holds one."""
