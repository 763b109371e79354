"""How commands are decided on locked rows."""
