import numpy as np

from histocerb.core.tasks import CERBERUS, HeadKind
from histocerb.inference.maps import predict_maps


def test_image_of_several_windows_is_put_together_from_them(make_image, model):
    image = make_image(1100, 150, 2)
    maps = predict_maps(image, model.predictor, CERBERUS)
    expected = model.predictor.probabilities(image, 0)
    for head in CERBERUS.heads:
        if head.kind is HeadKind.PATCH:
            assert maps[head.name].shape == (8, 2, len(head.channels))
            np.testing.assert_array_equal(maps[head.name][:7, :1], expected[head.name])
            assert maps[head.name].sum(axis=2).min() > 0.99
        else:
            np.testing.assert_array_equal(maps[head.name], expected[head.name])
