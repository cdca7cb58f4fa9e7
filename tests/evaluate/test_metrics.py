"""Every metric gives what an independent library gives."""

import numpy as np
import numpy.typing as npt
import pytest
import pytrec_eval
import sklearn.metrics
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_matrix
from sklearn.metrics.pairwise import cosine_similarity

from components.evaluate import metrics
from components.evaluate.metrics import Placements
from components.evaluate.top_lists import places_of

CUSTOMERS, PRODUCTS, LENGTH = 40, 100, 20
TREC = {
    "ndcg": "ndcg_cut",
    "recall": "recall",
    "map": "map_cut",
    "hit_rate": "success",
}


@pytest.fixture(scope="module")
def lists() -> npt.NDArray[np.int32]:
    generator = np.random.default_rng(3)
    generated = [generator.permutation(PRODUCTS)[:LENGTH] for _ in range(CUSTOMERS)]
    return np.array(generated, dtype=np.int32)


@pytest.fixture(scope="module")
def relevant() -> list[list[int]]:
    """One to thirty test products for each customer."""
    generator = np.random.default_rng(4)
    sizes = generator.integers(1, 31, CUSTOMERS)
    return [generator.choice(PRODUCTS, size, replace=False).tolist() for size in sizes]


@pytest.fixture(scope="module")
def placements(lists: npt.NDArray[np.int32], relevant: list[list[int]]) -> Placements:
    rows = np.repeat(np.arange(CUSTOMERS), list(map(len, relevant)))
    places = places_of(lists, rows, np.concatenate(relevant).astype(np.int32))
    return Placements(rows, places, CUSTOMERS)


def trec(lists: npt.NDArray[np.int32], relevant: list[list[int]], measure: str) -> list[float]:
    """What the reference implementation of TREC says of each customer."""
    wanted = {str(user): {str(item): 1 for item in items} for user, items in enumerate(relevant)}
    run = {
        str(user): {str(item): float(LENGTH - place) for place, item in enumerate(items)}
        for user, items in enumerate(lists.tolist())
    }
    found = pytrec_eval.RelevanceEvaluator(wanted, {measure}).evaluate(run)
    (name,) = found["0"]
    return [found[str(user)][name] for user in range(CUSTOMERS)]


@pytest.mark.parametrize("cut", [5, 10, 20])
@pytest.mark.parametrize("name", TREC)
def test_ranking_metric_is_trec_evals(
    name: str,
    cut: int,
    lists: npt.NDArray[np.int32],
    relevant: list[list[int]],
    placements: Placements,
) -> None:
    ours = metrics.RANKING[name](placements, cut)
    assert ours == pytest.approx(trec(lists, relevant, f"{TREC[name]}.{cut}"), abs=1e-9)


@pytest.mark.parametrize("cut", [5, 10, 20])
def test_reciprocal_rank_is_trec_evals(
    cut: int, lists: npt.NDArray[np.int32], relevant: list[list[int]], placements: Placements
) -> None:
    expected = trec(lists[:, :cut], relevant, "recip_rank")
    assert metrics.reciprocal_rank(placements, cut) == pytest.approx(expected)


def test_ndcg_is_scikit_learns(
    lists: npt.NDArray[np.int32], relevant: list[list[int]], placements: Placements
) -> None:
    truth = np.zeros((CUSTOMERS, PRODUCTS))
    scores = np.zeros((CUSTOMERS, PRODUCTS))
    for user, items in enumerate(relevant):
        truth[user, items] = 1
        scores[user, lists[user]] = np.arange(LENGTH, 0, -1)
    expected = sklearn.metrics.ndcg_score(truth, scores, k=10)
    assert metrics.ndcg(placements, 10).mean() == pytest.approx(expected)


def test_gini_is_one_less_twice_the_area_under_the_lorenz_curve(
    lists: npt.NDArray[np.int32],
) -> None:
    counts = np.sort(np.bincount(lists[:, :3].ravel(), minlength=PRODUCTS))
    lorenz = np.append(0, counts.cumsum() / counts.sum())
    area = sklearn.metrics.auc(np.linspace(0, 1, PRODUCTS + 1), lorenz)
    assert metrics.gini(lists[:, :3], PRODUCTS) == pytest.approx(1 - 2 * area)


def test_similarity_in_a_list_is_the_mean_cosine_of_its_pairs(lists: npt.NDArray[np.int32]) -> None:
    generator = np.random.default_rng(5)
    rated = (generator.random((300, PRODUCTS)) < 0.1).astype(float)
    cooccurrence = csr_matrix(rated.T @ rated)
    cosines = cosine_similarity(rated.T)
    pairs = np.triu_indices(10, k=1)
    expected = [cosines[items[:10]][:, items[:10]][pairs].mean() for items in lists]
    assert metrics.intra_list_similarity(lists[:, :10], cooccurrence) == pytest.approx(expected)


def test_novelty_is_self_information_in_bits() -> None:
    popularity = np.array([8, 2, 0])
    lists = np.array([[0, 1], [2, -1], [-1, -1]], np.int32)
    assert metrics.novelty(lists, popularity, 16).tolist() == [2.0, 4.0, 0.0]


def test_coverage_counts_each_listed_product_once() -> None:
    assert metrics.coverage(np.array([[0, 1], [1, -1]], np.int32), 8) == 0.25


def test_calibration_is_scikit_learns() -> None:
    generator = np.random.default_rng(6)
    predicted = generator.random(500).astype(np.float32) + 1
    given = (generator.random(500) < predicted - 1).astype(np.float32)
    groups = metrics.calibration(predicted, given)
    truth, promise = sklearn.calibration.calibration_curve(given, predicted - 1, n_bins=2)
    assert groups.given == pytest.approx(truth)
    assert np.array(groups.predicted) - 1 == pytest.approx(promise)
    assert sum(groups.counts) == 500


@given(st.lists(st.integers(0, 25), min_size=1, max_size=30, unique=True))
def test_every_ranking_metric_lies_between_0_and_1_and_grows_with_the_cut(
    places: list[int],
) -> None:
    ranked = Placements(np.zeros(len(places), int), np.array(places, np.int32), 1)
    for name, metric in metrics.RANKING.items():
        values = [metric(ranked, cut)[0] for cut in (5, 10, 20)]
        assert all(-1e-12 <= value <= 1 + 1e-12 for value in values)
        if name != "ndcg":  # its ideal grows with the cut as well
            assert values == sorted(values)
