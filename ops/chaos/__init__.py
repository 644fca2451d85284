"""Breaks what can break, and checks what has to hold afterwards."""
