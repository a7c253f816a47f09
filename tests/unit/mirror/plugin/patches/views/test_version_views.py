"""Links in devpi's JSON views of projects; the views themselves are in tests/integration."""

from mirror.plugin.patches.views import version_views

HERE, THERE = "company/prod/+f/abc/0123456789abc", "root/pypi/+f/abc/0123456789abc"


def test_links_of_denied_files_and_of_their_results_are_left_out_and_others_lead_here() -> None:
    """An address is judged by the policies of the index in it: that of a base would be judged by fewer."""
    verdata = {
        "name": "demo",
        "+elinks": [
            {"rel": "releasefile", "entrypath": f"{THERE}/demo-1.0.zip#sha256=abc"},
            {"rel": "releasefile", "entrypath": f"{THERE}/demo-1.0.tar.gz"},
            {"rel": "toxresult", "entrypath": "a/b/+f/1", "for_entrypath": f"{THERE}/demo-1.0.zip"},
            {"rel": "toxresult", "entrypath": "a/b/+f/2", "for_entrypath": f"{THERE}/demo-1.0.tar.gz"},
            {"rel": "doczip", "entrypath": "a/b/+f/3"},
        ],
    }
    shown = version_views._with_links(verdata, {f"{THERE}/demo-1.0.zip": f"{HERE}/demo-1.0.zip"})
    assert shown == {
        "name": "demo",
        "+elinks": [
            {"rel": "releasefile", "entrypath": f"{HERE}/demo-1.0.zip"},
            {"rel": "toxresult", "entrypath": "a/b/+f/1", "for_entrypath": f"{HERE}/demo-1.0.zip"},
            {"rel": "doczip", "entrypath": "a/b/+f/3"},
        ],
    }
