"""The site of the documentation: English from docs/, Chinese from docs/zh/, one build each (`make docs`)."""  # noqa: INP001  Sphinx reads it by its path

import os
import re
from gettext import NullTranslations
from html import escape
from itertools import pairwise
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.builders.html import StandaloneHTMLBuilder
from sphinx.locale import _ as sphinx_word
from sphinx.search.en import SearchEnglish

DOCS = Path(__file__).parent
CHINESE = DOCS / "zh"
FENCE = re.compile(r"(^```.*?^```$)", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(?<!!)\[(?P<text>[^\]]*)\]\((?P<path>[^)#\s:]+)(?P<anchor>#[^)\s]*)?\)")

BREAK = re.compile(  # in a paragraph: between Chinese characters, and after their punctuation
    r"(?<=[\u3000-\u9fff\uff00-\uffef])\n(?=[\u3000-\u9fff\uff00-\uffef])"
    r"|(?<=[，。；：、）])\n(?=[A-Za-z`\[]|\d(?!\d*\. ))"
)
THEME_WORDS = {  # furo has no Chinese
    "On this page": "本页内容",
    "Next": "下一页",
    "Previous": "上一页",
    "Back to top": "回到顶部",
    "Skip to content": "跳到正文",
}

project = "eventabs"
html_title = "eventabs"
extensions = ["myst_parser"]
myst_heading_anchors = 4
exclude_patterns = ["zh"]  # the English build; below docs/zh there is no such folder
suppress_warnings = ["misc.highlighting_failure"]  # fences also name what a block is for: `sample`, `prompt`
html_theme = "furo"  # its fonts are those of the reader's system
html_show_copyright = False
html_copy_source = False
html_show_sourcelink = False
templates_path = [str(DOCS / "templates")]
html_sidebars = {
    "**": [
        "sidebar/brand.html",
        "languages.html",
        "sidebar/search.html",
        "sidebar/scroll-start.html",
        "sidebar/navigation.html",
        "sidebar/scroll-end.html",
    ]
}


class SearchPairs(SearchEnglish):
    """Index Chinese by its pairs of neighboring characters, as Lucene's CJKAnalyzer does, and Latin words as in English.

    Sphinx's own Chinese search cuts words with jieba in the index and not in queries; in 9.0 its script fails.
    """

    lang = "zh"
    js_splitter_code = """
function splitQuery(query) {
  const words = query.match(/[\\p{Script=Han}]+|[\\p{L}\\p{N}_]+?(?=\\p{Script=Han}|[^\\p{L}\\p{N}_]|$)/gu) || [];
  return words.flatMap(word => !/\\p{Script=Han}/u.test(word) || word.length < 3 ? [word]
    : Array.from({length: word.length - 1}, (_, place) => word.slice(place, place + 2)));
}
"""

    def split(self, input: str) -> list[str]:  # noqa: A002  Sphinx's name
        """Return the words of a text: of a run of Chinese characters each pair."""
        words = re.findall(r"[\u3400-\u9fff]+|[^\W\u3400-\u9fff]+", input)
        return [part for word in words for part in _pairs(word)]


def _pairs(word: str) -> list[str]:
    pairs = [first + second for first, second in pairwise(word)]
    return (pairs or [word]) if "\u3400" <= word[0] <= "\u9fff" else [word]


def link_elsewhere(app: Sphinx, name: str, source: list[str]) -> None:
    """Point links that leave a build at the site's other half; those to what a site lacks become text."""
    folder = (Path(app.srcdir) / name).parent

    def replaced(match: re.Match[str]) -> str:
        target = Path(os.path.normpath(folder / match["path"]))
        if target.name in {"README.md", "README.zh-CN.md"} and target.parent == DOCS.parent:
            target = Path(app.srcdir) / "index.md"
        of_site = target.suffix == ".md" and target.is_relative_to(DOCS)
        if target.is_dir() or (target.suffix == ".md" and not of_site):
            return match["text"]
        chinese = target.is_relative_to(CHINESE)
        if not of_site or chinese == (Path(app.srcdir) == CHINESE):
            path = os.path.relpath(target, folder)
            return f"[{match['text']}]({path}{match['anchor'] or ''})"
        address = os.path.relpath(target.with_suffix(".html"), folder)
        return f'<a href="{escape(address + (match["anchor"] or ""))}">{match["text"]}</a>'

    parts = FENCE.split(source[0])
    source[0] = "".join(part if FENCE.fullmatch(part) else LINK.sub(replaced, part) for part in parts)


def join_lines(_app: Sphinx, _name: str, source: list[str]) -> None:
    """Join the lines of Chinese paragraphs: a break between two characters would show as a space."""
    parts = FENCE.split(source[0])
    source[0] = "".join(part if FENCE.fullmatch(part) else BREAK.sub("", part) for part in parts)


class ThemeTranslations(NullTranslations):
    """The theme's own words in Chinese, all others as Sphinx has them."""

    def gettext(self, message: str) -> str:
        """Return a word of a template."""
        return THEME_WORDS.get(message) or sphinx_word(message)


def translate_theme(app: Sphinx) -> None:
    """Let templates take their words from `ThemeTranslations`."""
    if isinstance(app.builder, StandaloneHTMLBuilder):
        app.builder.templates.environment.install_gettext_translations(ThemeTranslations())


def name_the_other_language(
    app: Sphinx, name: str, _template: str, context: dict[str, Any], _tree: object
) -> None:
    """Give a page the address of its page in the other language, or of that language's first page."""
    chinese = Path(app.srcdir) == CHINESE
    other = DOCS if chinese else CHINESE
    page = name if (other / f"{name}.md").exists() else "index"
    context["other_language"] = "English" if chinese else "中文"
    context["other_page"] = f"{'../' if chinese else 'zh/'}{page}.html"


def setup(app: Sphinx) -> None:
    """Register what the two builds need of each other."""
    app.add_search_language(SearchPairs)
    app.connect("source-read", link_elsewhere)
    app.connect("html-page-context", name_the_other_language)
    if Path(app.srcdir) == CHINESE:
        app.connect("source-read", join_lines)
        app.connect("builder-inited", translate_theme)
