"""The same customer kept by others' means; only the benchmark installs this."""
