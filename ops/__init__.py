"""Drives SINS from outside: embedded servers, demo, bench. Nothing in SINS imports it."""
