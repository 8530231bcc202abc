"""What a technician does with an order between acknowledging it and leaving the door.

`steps` are the steps, each taken once however often a phone sends it; of these, `check_in` judges
where somebody stands, and `completing` is the last one. `passing_on` gives an order to
a colleague; `acceptance` lets the customer accept the
work by a code; `earlier` tells what was done before, `offers` asks what may be offered in a visit,
`context` whom the technician meets.
"""
