"""Classes without a word vector: the one line about them, and words that are spelt like theirs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from devise_exp.core.errors import InputError
from devise_exp.core.name_files import MAX_LISTED, listed
from devise_exp.core.spelling import nearest_spellings
from devise_exp.text.descriptions import Descriptions
from devise_exp.text.label_options import ALIAS_OVERRIDE, FILES, alias_override
from devise_exp.text.name_lookup import nearest_words, suggest_words, unlike_words
from devise_exp.text.vocabulary import Vocabulary

MAX_FAR = 3
MAX_HINTED = 25  # near spellings of more missing classes would take long and say nothing


class MissingWordsError(InputError):
    """Classes have no word vector.

    Args:
        message: The line for a person, of bounded length.
        names: All of the classes.
        suggestions: Class -> the known words that are spelt most like its name; of MAX_HINTED
            classes at most.
    """

    def __init__(
        self, message: str, names: Sequence[str] = (), suggestions: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.names = tuple(names)
        self.suggestions = dict(suggestions or {})


def missing_words_error(
    missing: Sequence[str],
    n_classes: int,
    vocabulary: Vocabulary,
    aliases: Mapping[str, str],
    on_missing: str = "error",
) -> MissingWordsError:
    """Make the error about classes without a word vector.

    Args:
        missing: Their names.
        n_classes: Of how many classes.
        vocabulary: The words that have a vector.
        aliases: Class -> other words for it.
        on_missing: As it was given. After "nearest" that remedy is not named again.

    Returns:
        The error; its line has ten names at most, with known spellings near their words.
    """
    if descriptions := getattr(vocabulary, "descriptions", None):
        return _undescribed(missing, n_classes, descriptions)
    notes = []
    for name in missing[:MAX_LISTED]:
        alias = aliases.get(name)
        near = suggest_words(alias or name, vocabulary)
        details = [f"alias {alias!r}"] if alias else []
        details += [f"near: {', '.join(near)}"] if near else []
        if on_missing == "nearest":
            far = unlike_words(alias or name, vocabulary) or (alias or name,)
            details.append(f"no spelling is near {listed(map(repr, far), MAX_FAR)}")
        notes.append(f"{name!r} ({'; '.join(details)})" if details else repr(name))
    if len(missing) > MAX_LISTED:
        notes.append(f"and {len(missing) - MAX_LISTED:,} more")
    suggestions = {
        name: " ".join(nearest_words(aliases.get(name, name), vocabulary))
        for name in missing[:MAX_HINTED]
    }
    override = alias_override(missing[0])
    remedy = (
        FILES if override == FILES else f"{ALIAS_OVERRIDE}, for the first {override}; or {FILES}"
    )
    nearest = "take the nearest spellings as they are (labels.on_missing=nearest), "
    return MissingWordsError(
        f"{len(missing)} of {n_classes} classes have no word vector: {'; '.join(notes)}. Give each "
        f"a known word ({remedy}), {nearest * (on_missing != 'nearest')}or leave them out "
        "(labels.on_missing=drop)",
        missing,
        suggestions,
    )


def _undescribed(
    missing: Sequence[str], n_classes: int, descriptions: Descriptions
) -> MissingWordsError:
    """The error about classes that a file of descriptions lacks."""
    near = {name: nearest_spellings(name, list(descriptions.entries), n=2) for name in missing}
    notes = [
        f"{name!r}{f' (near: {listed(near[name])})' if near[name] else ''}"
        for name in missing[:MAX_LISTED]
    ]
    if len(missing) > MAX_LISTED:
        notes.append(f"and {len(missing) - MAX_LISTED:,} more")
    return MissingWordsError(
        f"{descriptions.file} describes {n_classes - len(missing)} of {n_classes} classes, not "
        f"{'; '.join(notes)}: add them to the file, give them an alias that it has "
        f"({alias_override(missing[0])}), take their names (word_vectors.undescribed=name), "
        "or leave them out (labels.on_missing=drop)",
        missing,
    )
