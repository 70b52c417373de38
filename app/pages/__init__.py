"""What people see: the page behind a personal link, in their language.

Nothing on it comes from elsewhere."""
