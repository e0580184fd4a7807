"""A server in a thread, and one who asks it."""

import json
import threading
import urllib.error
import urllib.request
from types import SimpleNamespace

from histocerb.web.comparison import Comparison
from histocerb.web.opened import Desk
from histocerb.web.results import open_cohort
from histocerb.web.server import serve

NAME = "drawn-1"


class Client:
    """Asks a server as a browser would that has opened its link."""

    def __init__(self, link):
        self.base, self.token = link.split("/?token=")
        self.port = int(self.base.rsplit(":", 1)[1])

    def __call__(self, path, headers=None, token=True):
        request = urllib.request.Request(f"{self.base}/{path}", headers=dict(headers or {}))
        if token:
            request.add_header("Cookie", f"histocerb_{self.port}={self.token}")
        try:
            with urllib.request.build_opener(_NoRedirect).open(request, timeout=30) as answer:
                return SimpleNamespace(status=answer.status, body=answer.read(), headers=answer.headers)
        except urllib.error.HTTPError as error:
            with error:
                return SimpleNamespace(status=error.code, body=error.read(), headers=error.headers)

    def json(self, path):
        answer = self(path)
        assert answer.status == 200, answer.body
        return json.loads(answer.body)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


def start(folder, **options):
    """A server of a folder in a thread: its link, and how to end it."""
    desk = Desk(open_cohort(folder), options.get("slides", ()))
    compare = options.get("compare")
    comparison = compare and Comparison(desk, Desk(open_cohort(compare), groups=desk.groups))
    served = serve(desk, port=options.get("port"), comparison=comparison)
    ready = threading.Event()
    thread = threading.Thread(target=served.run, args=(lambda link: ready.set(),), daemon=True)
    thread.start()
    assert ready.wait(60)

    def stop():
        served.stop()
        thread.join(20)
        assert not thread.is_alive()

    return served.link, stop
