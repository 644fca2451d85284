"""Several locations in one process, each with a real database of its own, driven by one seed.

What runs is the code of the product: commands, sequencer, relay, feed, contacts, peer routes,
recovery. Only what is around it is simulated: clocks, lines, Kafka, crashes and chance.
``python -m ops.chaos.simulation --seed N --trace`` replays a run exactly.
"""
