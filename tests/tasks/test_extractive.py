"""TextRank against the definition as networkx computes it, and by hand; Chinese is cut into sentences and words."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hanmo.tasks.extractive import lead, sentence_graph, textrank, textrank_scores

ENGLISH = "Cats chase mice at night. The mice fear cats. Weather was fine. Cats and mice share a barn."
CHINESE = "猫在夜里追老鼠。老鼠怕猫。天气很好。谷仓里住着猫，也住着老鼠。"


def test_scores_are_those_of_pagerank() -> None:
    networkx = pytest.importorskip("networkx")
    draw = np.random.default_rng(0)
    graph = np.triu(draw.random((7, 7)) * (draw.random((7, 7)) > 0.4), 1)
    graph[0, 1:] += 0.1  # every node has an edge
    graph += graph.T
    ours = textrank_scores(graph)
    theirs = networkx.pagerank(networkx.from_numpy_array(graph), alpha=0.85, tol=1e-12)
    assert ours / ours.sum() == pytest.approx([theirs[node] for node in range(7)], abs=1e-6)


def test_the_graph_is_that_of_the_paper() -> None:
    graph = sentence_graph(["cats chase mice", "mice fear cats", "weather fine"])
    assert graph[0, 1] == pytest.approx(2 / (math.log(3) + math.log(3)))
    assert graph[0, 2] == 0
    assert (graph == graph.T).all()
    assert textrank_scores(graph)[2] == pytest.approx(0.15)


def test_central_sentences_are_found() -> None:
    assert "Weather" not in textrank(ENGLISH, 3)
    assert textrank(ENGLISH, 3).startswith("Cats chase")
    assert "天气" not in textrank(CHINESE, 3)
    assert textrank(CHINESE, 3).startswith("猫在夜里")
    assert lead(ENGLISH, 1) == "Cats chase mice at night."
    assert lead(CHINESE, 2) == "猫在夜里追老鼠。老鼠怕猫。"
    assert textrank("One.", 3) == "One."
