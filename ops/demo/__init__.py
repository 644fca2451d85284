"""Three locations on one machine, from one command, with nothing but Python installed."""
