"""The whole of it convicts: over a disk that says it has synced and has not, a run must not end well."""

from chaos import Chaos


def test_a_disk_that_lies_is_convicted(tmp_path):
    chaos = Chaos(tmp_path, seed=1, lies=True, say=lambda text: None)
    chaos.quiet = 5
    try:
        found = chaos.run(2)
    except AssertionError as error:
        # What is left of a file may be no database any more.
        assert "at its start" in str(error), error
        return
    assert found
