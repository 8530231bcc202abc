"""How well the planning kernel plans, beside PyVRP, VROOM and OR-Tools (`make bench-dispatch`)."""
