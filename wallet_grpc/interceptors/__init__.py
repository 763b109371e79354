"""What happens around every call of ours, one concern per file.

From the outside in: ``overload`` turns calls away that would wait too long, ``errors`` shows what went wrong,
``request_log`` writes it down, ``admission`` counts and drains, ``auth`` finds out who is calling and what they may do,
``rates`` how often, ``deadlines`` how long they wait, ``validation`` reads the request, ``viewing`` leaves out what its
caller may not see. Health and reflection pass by untouched.
"""
