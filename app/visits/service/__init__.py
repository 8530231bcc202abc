"""What a technician does with an order between acknowledging it and leaving the door.

`steps` are the steps, each taken once however often a phone sends it, and `completing` is the last
of them; `acceptance` lets the customer accept the work by a code; `offers` asks what may be offered
in a visit; `context` tells whom the technician meets.
"""
