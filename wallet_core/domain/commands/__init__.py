"""The verbs: one command per file, one room per subject."""
