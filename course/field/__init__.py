"""Field studies: a function of one's own on public data, beside published figures."""
