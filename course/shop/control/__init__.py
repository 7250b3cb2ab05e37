"""The shop under control: act on it, minute by minute, as in an incident."""
