"""What happens around every call of ours, one concern per file.

From the outside in: ``errors`` shows what went wrong, ``request_log`` writes it down, ``admission`` counts and drains,
(authentication will stand here,) ``validation`` reads the request. Health and reflection pass by untouched.
"""
