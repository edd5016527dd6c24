"""A site on the real python-ucam-webauth, for our login service to let people into.

The package runs as published; its settings are those that any site has: where the login service is,
and its key. Prints one line of JSON with the URL of the site, and the key of the live service that
the package carries. Ends when its standard input does.

Usage: agent.py LOGIN_URL LOGOUT_URL KID < PEM, the key in PEM on the first line of standard input, as
a JSON string.

/any, /must and /mustnot are pages that differ in what they ask of the login service. Each says who
the user is, as JSON. /expire ends the session here, and /logout there as well.
"""

import importlib.resources
import json
import os
import sys
import threading

import flask
import ucam_webauth
import ucam_webauth.flask_glue
import ucam_webauth.rsa
import waitress

login_url, logout_page, kid = sys.argv[1:]
key = ucam_webauth.rsa.load_key(json.loads(sys.stdin.readline()).encode("ascii"))


class Request(ucam_webauth.Request):
    def __str__(self):
        return login_url + "?" + super().__str__()


class Response(ucam_webauth.Response):
    old_version_ptags = frozenset(["current"])
    keys = {kid: key}


class AuthDecorator(ucam_webauth.flask_glue.AuthDecorator):
    request_class = Request
    response_class = Response
    logout_url = logout_page


app = flask.Flask(__name__)
app.secret_key = os.urandom(24)


def page(path, **settings):
    guard = AuthDecorator(can_trust_request_host=True, **settings)

    @app.route(path, endpoint=path)
    @guard
    def view():
        return flask.jsonify(
            principal=guard.principal, ptags=sorted(guard.ptags), life=guard.life
        )

    return guard


any_guard = page("/any", desc="R&D caf\u00e9", msg="Please log in")
page("/must", iact=True)
page("/mustnot", iact=False, aauth={ucam_webauth.ATYPE_PWD})


@app.route("/expire")
def expire():
    any_guard.logout()
    return ""


@app.route("/logout")
def logout():
    return any_guard.logout()


def load_live():
    keys = importlib.resources.files("ucam_webauth") / "raven" / "keys"
    return (keys / "pubkey2").read_text("ascii")


def main():
    server = waitress.create_server(app, host="127.0.0.1", port=0)
    print(
        json.dumps({"url": "http://127.0.0.1:%s" % server.effective_port, "live": load_live()}),
        flush=True,
    )
    threading.Thread(target=server.run, daemon=True).start()
    sys.stdin.read()


if __name__ == "__main__":
    main()
