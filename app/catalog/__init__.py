"""Catalog: what can be sold, by dated versions, with prices, rules and talk tracks."""
