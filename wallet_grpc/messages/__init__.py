"""Localized error messages.

``language`` chooses a language, ``texts`` fills the placeholders; the texts are data, a file per language. To add a
language, add its file and its name in ``language.LANGUAGES``.
"""
