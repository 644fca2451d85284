"""Real locations, PostgreSQL and Kafka: one fault after the other while clients write.

What the clients were told, kept in a file as it happens, is the only oracle.
"""
