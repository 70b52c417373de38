"""What a file truly is. Only workers load this: the libraries in it decode what strangers sent."""
