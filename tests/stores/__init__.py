"""The stores: their common contract, and what each one promises beyond it."""
