"""The reader's language: Chinese, or English. Messages come from a gettext catalogue."""

import locale
import os
import sys
from functools import cache
from pathlib import Path

LANGUAGES = ("en", "zh")
CATALOGUES = Path(__file__).parent / "locale"


def language() -> str:
    """ "zh" or "en", as WORKBOOK_LANG says, the folder of the notebook, or the system."""
    wishes = [os.environ.get("WORKBOOK_LANG")]
    folder = Path.cwd()  # a notebook's prose has chosen
    if folder.match("notebooks/zh"):
        wishes.append("zh")
    elif folder.name == "notebooks":
        wishes.append("en")
    wishes += map(os.environ.get, ("LC_ALL", "LC_MESSAGES", "LANG"))
    if sys.platform == "win32":
        import ctypes

        wishes.append(locale.windows_locale.get(ctypes.windll.kernel32.GetUserDefaultUILanguage()))
    wish = next(filter(None, wishes), "en")
    return "zh" if wish.lower().startswith("zh") else "en"


@cache
def catalogue(language: str) -> dict[str, str]:
    """What stands for each message, as Babel reads it from the file that translators edit."""
    if language == "en":
        return {}
    from babel.messages.pofile import read_po

    with (CATALOGUES / language / "LC_MESSAGES" / "workbook.po").open("rb") as file:
        messages = read_po(file, locale=language)
    return {str(message.id): str(message.string) for message in messages if message.string}


def _(message: str) -> str:
    """A message in the reader's language. Where there are values, `.format` puts them in after."""
    return catalogue(language()).get(message, message)
