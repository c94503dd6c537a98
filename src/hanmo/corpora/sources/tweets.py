"""User names and links of tweets and Weibo posts, as placeholders."""

from __future__ import annotations

import re

__all__ = ["normalize_tweet"]

# A name ends where its letters end: before a space in English, before a space or a mark in Chinese. An address
# (ann@example.org) is no name.
_USER = re.compile(r"(?<![A-Za-z0-9_+\-@＠])[@＠][\w\-]{1,30}")
_LINK = re.compile(r"(?:https?://|www\.)[A-Za-z0-9\-._~:/?#@!$&'()*+,;=%\[\]]+", re.IGNORECASE)


def normalize_tweet(text: str) -> str:
    """Write every user name as `@user` and every link as `http`, as TweetEval does (Barbieri et al., 2020, §2).

    Args:
        text: a tweet or a Weibo post.
    """
    return _USER.sub("@user", _LINK.sub("http", text))
