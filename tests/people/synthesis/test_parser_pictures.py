"""A rendered person as pictures that the portrait parser learns from."""

import numpy as np

from backend.people.parsing.synthetic import MOST_YAW, label_person
from backend.people.synthesis.files import people
from backend.tracking.parser import CLASSES


def test_views_from_the_front_become_pictures_with_exact_labels(corpus, person):
    (folder,) = people(corpus)
    pictures = list(label_person(folder))
    assert len(pictures) == (np.abs(person.angles[:, 0]) <= MOST_YAW).sum()
    for picture in pictures:
        assert picture.labels.max() < len(CLASSES)
        solid, empty = picture.alpha == 255, picture.alpha == 0
        assert (picture.labels[solid & picture.valid] > 0).mean() > 0.99
        assert (picture.labels[empty] == 0).mean() > 0.95
    middle = pictures[0].labels[180:200, 180:200]
    assert (middle == CLASSES.index("skin")).mean() > 0.5
