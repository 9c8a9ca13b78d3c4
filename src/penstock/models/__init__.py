"""What is known about models: prices, bounds, and how their tokens are counted."""
