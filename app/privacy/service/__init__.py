"""What can be done for persons' data: exported, erased, and forgotten when its time is over."""

from app.privacy.service.asking import agree, ask, carry_out, document_of
from app.privacy.service.erasing import erase
from app.privacy.service.sweeping import NotAllForgotten, sweep

__all__ = ["NotAllForgotten", "agree", "ask", "carry_out", "document_of", "erase", "sweep"]
