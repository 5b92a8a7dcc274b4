"""Networks of Lua Torch: char-rnn, torch-rnn, and the language half of neuraltalk2."""
