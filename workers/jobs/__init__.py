"""What RQ workers do. A job takes one id; everything else is read from the database."""
