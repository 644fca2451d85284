"""What breaks a running demo, what writes meanwhile, and what has to hold afterwards."""
