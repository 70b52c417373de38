"""What a recording is made of, and what a browser plays. Only workers load this."""
