"""The waiting room from the staff's side: who waits, and letting them in or not."""
