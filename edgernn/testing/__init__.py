"""What other people's tests use: an assertion and a pytest plugin."""
