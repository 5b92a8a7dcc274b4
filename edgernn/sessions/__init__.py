"""Sessions run one model file step by step: one protocol, one file per runtime."""
