"""The audit trail: what was taken out of requests and answers, provably complete, without a value in it."""
