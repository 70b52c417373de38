"""Places for files: how many there are, of one person too, and who waits for one."""

from threading import Barrier, Thread
from time import monotonic

import pytest

from app.errors import Unavailable
from app.web.places import Place, Places

LONG_S = 20.0


def test_a_third_of_the_threads_has_places() -> None:
    """What is left is for the next, and only once."""
    places = Places(6)
    first, _ = places.take(), places.take()
    with pytest.raises(Unavailable) as refused:
        places.take()
    assert (refused.value.code, refused.value.retryable) == ("streams_busy", True)
    first.leave()
    first.leave()
    places.take()
    with pytest.raises(Unavailable):
        places.take()


def test_one_person_holds_at_most_half_of_them() -> None:
    """However many addresses they have; the rest is for others."""
    places = Places(6)
    mine = places.take("me")
    with pytest.raises(Unavailable):
        places.take("me")
    places.take("you").leave()
    mine.leave()
    places.take("me")


def test_who_waits_gets_the_place_that_is_left() -> None:
    """Five at once find three places, one after the other."""
    places, done, together = Places(9), [], Barrier(5)

    def carry() -> None:
        together.wait(LONG_S)
        places.take(wait_s=LONG_S).leave()
        done.append(1)

    carriers = [Thread(target=carry) for _ in range(5)]
    for one in carriers:
        one.start()
    for one in carriers:
        one.join(LONG_S)
    assert len(done) == 5


def test_not_all_threads_wait() -> None:
    """A third of them may: one more is told to come back at once."""
    places = Places(6)  # two places, two who wait
    held, found = [places.take(), places.take()], list[Place]()
    waiting = [Thread(target=lambda: found.append(places.take(wait_s=LONG_S))) for _ in range(2)]
    for one in waiting:
        one.start()
    while places.waiting < 2:
        waiting[0].join(0.001)
    began = monotonic()
    with pytest.raises(Unavailable):
        places.take(wait_s=LONG_S)
    assert monotonic() - began < LONG_S / 2
    for place in held:
        place.leave()
    for one in waiting:
        one.join(LONG_S)
    assert len(found) == 2


@pytest.mark.parametrize("threads", [1, 2])
def test_nobody_waits_where_no_thread_is_to_spare(threads: int) -> None:
    """However long they would."""
    places = Places(threads)
    places.take()
    began = monotonic()
    with pytest.raises(Unavailable):
        places.take(wait_s=LONG_S)
    assert monotonic() - began < LONG_S / 2


def test_nobody_waits_for_ever() -> None:
    """Then they are told to come back, and others may wait."""
    places = Places(3)
    places.take()
    for _ in range(3):
        with pytest.raises(Unavailable):
            places.take(wait_s=0.001)
    assert places.waiting == 0
