"""Measures what SINS costs, against plain Django and its history libraries, in one run."""
