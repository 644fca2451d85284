"""The Django project: settings, routes, logs, health. No business code."""
