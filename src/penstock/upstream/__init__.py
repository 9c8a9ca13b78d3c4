"""The upstream half of the road: the HTTP client, its pools and timeouts, and what can go wrong."""
