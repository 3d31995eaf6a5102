"""Cleaning: what is left out of a dataset, document by document, and what is replaced in the rest.

- `filters.py`: the order of the filters, their counts, and the two halves of a decision (alone, and among others)
- `duplicates.py`: exact and near duplicates in bounded memory
- `repetition.py`: Gopher's rules; `language.py`: which language; `scrub.py`: personal data to placeholders
"""
