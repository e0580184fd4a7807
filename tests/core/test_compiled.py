from histocerb.core import compiled


def test_what_cannot_be_kept_is_compiled_all_the_same():
    room = {}
    exec("def twice(x):\n    return 2 * x", room)  # of no file, so that there is no place beside it
    assert compiled.compiled(room["twice"])(4) == 8


def test_says_where_machine_code_is_kept(monkeypatch, tmp_path):
    monkeypatch.setattr("numba.config.CACHE_DIR", str(tmp_path))
    assert str(tmp_path) in compiled.folder()
