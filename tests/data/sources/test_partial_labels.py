import pytest

from histocerb.core.errors import UsageError
from histocerb.core.tasks import CERBERUS
from histocerb.data.sources.entry import as_entries
from histocerb.data.sources.partial_labels import keep_heads


def test_labels_of_other_heads_are_left_out(sample) -> None:
    whole = sample("w", tasks=("nuclei", "gland", "lumen"), patch_class="muscle")

    def kept(*heads: str):
        return next(keep_heads(as_entries([whole]), heads)).load()

    glands = kept("gland.instance")
    assert set(glands.objects) == {"gland"}
    assert glands.objects["gland"].classes == {}
    assert glands.patch_class is None
    both = kept("nuclei.instance", "nuclei.type", "tissue.patch")
    assert set(both.objects) == {"nuclei"}
    assert both.objects["nuclei"].classes == whole.objects["nuclei"].classes
    assert both.patch_class == "muscle"
    assert kept(*(head.name for head in CERBERUS.heads)).objects.keys() == whole.objects.keys()
    with pytest.raises(UsageError, match=r"gland\.shape"):
        kept("gland.shape")
