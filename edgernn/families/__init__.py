"""The model families: what a kind of model is fed, what it loses, what it writes."""
