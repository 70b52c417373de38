"""Streams: one asyncio process that pushes events to systems and states to pages (SSE).

It writes nothing. What it pushes it reads from the feed, so it may die at any moment: whoever
listened comes back with the id of the last event, and misses nothing.
"""
