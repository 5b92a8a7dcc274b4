"""From a bundle and a prompt or a picture file to words: what ``generate`` and ``caption`` do."""
