"""Messaging: what customers are told by text message, each message delivered by itself."""
