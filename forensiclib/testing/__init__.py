"""Shipped for others: contracts and the evidence builder."""
