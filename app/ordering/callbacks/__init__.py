"""Callbacks: our listener on the other side's hub, the door it calls at, and the ear behind it."""
