"""Wrong turns the core must not take: each is a small change that a named test has to notice.

``python -m tests.mutants`` tries all of them, or those whose name holds a word given.
"""
