"""Where API, relay and gateway meet in Redis. Imports nothing: the gateway is a small process."""

# A list of orders, newest left: the time by Redis' clock, a space, {"id", "name", "args"}.
COMMANDS = "teleconsult:commands"
# How long an order may wait for a gateway: the caller was told long ago that it is not done.
WANTED_S = 10.0
# Said in time or not at all. All other orders are harmless when they come twice.
FLEETING = frozenset({"message"})
# + id of such an order: there while it is wanted. Whoever takes it away carries the order out, so
# one that lies in the list twice is carried out once. Its life is counted by Redis, by one clock.
WANTED = "teleconsult:wanted:"
# + order id: {"ok": true, "result"} or {"ok": false, "error", "retryable"}.
REPLY = "teleconsult:reply:"
# There while a gateway is connected to Prosody.
ALIVE = "teleconsult:gateway:alive"
# The real occupants of all rooms, for the relay to compare: {"asked_at", "answer"}.
PICTURE = "teleconsult:picture"
