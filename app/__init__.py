"""Yingwei: field backend for technicians who install, repair and sell in one visit."""
