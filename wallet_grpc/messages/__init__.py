"""What errors say to people, in their own language.

``language`` chooses one, ``texts`` fills it in; the texts themselves are data, a file per language. Another language is
another file and its name in ``language.LANGUAGES``.
"""
