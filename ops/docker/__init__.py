"""What containers run that is not SINS itself: secrets, certificates, databases, health checks."""
