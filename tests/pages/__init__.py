"""The pages, without the rest of the service."""
