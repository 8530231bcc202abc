"""Plans of days: whose day holds which visits in which order; made, compared, published."""
