"""The feed of events over REST: all that happened in an organisation, to be followed."""
