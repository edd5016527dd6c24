"""A service on the real pyramid_macauth, for the Go client to talk to.

The packages run as published; nothing of them is changed, except for tokenlib's default timeout if
LIFETIME is given. pyramid_macauth checks HMAC-SHA-1 only, since it gives macauthlib no hash. So
there are two services: "sha1" is pyramid_macauth itself, and "sha256" a view on macauthlib and
tokenlib that differs from it in the hash alone.

Usage: server.py SECRET USER PASSWORD [LIFETIME]. Prints one line of JSON with the URL of each
service, and ends when its standard input does. Tokens live for LIFETIME seconds; tokenlib's default
is five minutes.
"""

import hashlib
import json
import os
import sys
import threading

import macauthlib
import tokenlib
import waitress
from pyramid.authentication import extract_http_basic_credentials
from pyramid.config import Configurator
from pyramid.httpexceptions import HTTPForbidden, HTTPUnauthorized
from pyramid.interfaces import IAuthenticationPolicy
from pyramid.response import Response


class Sha256Policy:
    """What pyramid_macauth does, with HMAC-SHA-256."""

    def __init__(self, secret):
        self.master_secret = secret
        self.nonces = macauthlib.NonceCache()

    def userid(self, request):
        token = macauthlib.get_id(request)
        if token is None:
            raise challenge("MAC")
        try:
            data = tokenlib.parse_token(token, secret=self.master_secret)
            key = tokenlib.get_derived_secret(token, secret=self.master_secret)
        except ValueError:
            raise challenge("MAC")
        if not macauthlib.check_signature(
            request, key, hashmod=hashlib.sha256, nonces=self.nonces
        ):
            raise challenge("MAC")
        return data["userid"]

    def provision(self, request, user):
        token = tokenlib.make_token({"userid": user}, secret=self.master_secret)
        key = tokenlib.get_derived_secret(token, secret=self.master_secret)
        return {"id": token, "key": key, "algorithm": "hmac-sha-256"}


class Sha1Policy:
    """pyramid_macauth, and the JSON of its author's example."""

    def __init__(self, config):
        config.include("pyramid_macauth")
        config.commit()
        self.policy = config.registry.getUtility(IAuthenticationPolicy)

    @property
    def master_secret(self):
        return self.policy.master_secret

    @master_secret.setter
    def master_secret(self, secret):
        self.policy.master_secret = secret

    def userid(self, request):
        user = request.authenticated_userid
        if user is None:
            raise HTTPForbidden()  # pyramid_macauth turns this into its challenge
        return user

    def provision(self, request, user):
        token, key = self.policy.encode_mac_id(request, user)
        return {"id": token, "key": key}


def challenge(scheme):
    return HTTPUnauthorized(headers=[("WWW-Authenticate", scheme)])


def make_app(sha256, secret, login):
    config = Configurator(settings={"macauth.master_secret": secret})
    policy = Sha256Policy(secret) if sha256 else Sha1Policy(config)

    def provision(request):
        if extract_http_basic_credentials(request) != login:
            raise challenge('Basic realm="provision"')
        request.response.cache_control = "no-store"
        return policy.provision(request, login[0])

    def rotate(request):
        """Forget the master secret, as a restart without a configured one does."""
        policy.master_secret = os.urandom(16).hex()
        return Response(status=204)

    def echo(request):
        """Tell who asked for what, in header fields too because HEAD has no body."""
        user = policy.userid(request)
        if request.path_info == "/forbidden":
            raise HTTPForbidden()
        seen = "%s %s" % (request.method, request.path_qs)
        return Response(request.body, headerlist=[("X-User", user), ("X-Seen", seen)])

    config.add_route("provision", "/provision", request_method="POST")
    config.add_view(provision, route_name="provision", renderer="json")
    config.add_route("rotate", "/rotate", request_method="POST")
    config.add_view(rotate, route_name="rotate")
    config.add_route("echo", r"/{path:[\s\S]*}")
    config.add_view(echo, route_name="echo")
    return config.make_wsgi_app()


def serve(app):
    """Start serving app on a port of the system's choice, and return its URL."""
    server = waitress.create_server(app, host="127.0.0.1", port=0)
    threading.Thread(target=server.run, daemon=True).start()
    return "http://127.0.0.1:%s" % server.effective_port


def main(secret, user, password, lifetime=None):
    if lifetime is not None:
        # pyramid_macauth names no timeout when it has a token made, so it is this one.
        tokenlib.DEFAULT_TIMEOUT = float(lifetime)
    urls = {
        name: serve(make_app(name == "sha256", secret, (user, password)))
        for name in ("sha1", "sha256")
    }
    print(json.dumps(urls), flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main(*sys.argv[1:])
