"""Where API, relay and gateway meet in Redis. Imports nothing: the gateway is a small process."""

# A list of orders, newest left: {"id", "name", "args", "queued_at"}.
COMMANDS = "teleconsult:commands"
# + order id: {"ok": true, "result"} or {"ok": false, "error", "retryable"}.
REPLY = "teleconsult:reply:"
# There while a gateway is connected to Prosody.
ALIVE = "teleconsult:gateway:alive"
# The real occupants of all rooms, for the relay to compare: {"asked_at", "answer"}.
PICTURE = "teleconsult:picture"

# A gateway passes over what waited longer: the caller was told long ago that it is not done.
STALE_AFTER_S = 10
