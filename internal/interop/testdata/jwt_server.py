"""Services on the real pyramid_jwt, one for each of its modes, for the Go client to talk to.

The packages run as published; nothing of them is changed.

Usage: jwt_server.py SECRET USER PASSWORD EXPIRATION REISSUE. Prints one line of JSON with the URL of
each service, and ends when its standard input does. Tokens live for EXPIRATION seconds, and a cookie
is reissued after REISSUE seconds.

POST /login takes login and password as a form. It answers with the token in JSON or in a cookie.
GET /me tells the user, the claims and the principals; it answers 401 to nobody in particular.
POST /logout erases the cookie.
"""

import json
import os
import sys
import threading

import waitress
from pyramid.authorization import ACLAuthorizationPolicy
from pyramid.config import Configurator
from pyramid.httpexceptions import HTTPUnauthorized
from pyramid.response import Response
from pyramid.security import forget, remember


def roles(userid, request):
    return ["role:%s" % role for role in request.jwt_claims.get("roles", [])]


def answer(value, headers=()):
    response = Response(json.dumps(value), content_type="application/json", charset="utf8")
    response.headerlist.extend(headers)
    return response


class Views:
    def __init__(self, user, password, cookie):
        self.account = (user, password)
        self.cookie = cookie

    def login(self, request):
        if (request.POST.get("login"), request.POST.get("password")) != self.account:
            return answer({"result": "error", "token": None})
        claims = {"roles": ["reports"], "big": 12345678901234567890}
        if self.cookie:
            return answer({"result": "ok"}, remember(request, self.account[0], **claims))
        token = request.create_jwt_token(self.account[0], **claims)
        return answer({"result": "ok", "token": token})

    def me(self, request):
        if not request.authenticated_userid:
            raise HTTPUnauthorized()
        principals = sorted(request.effective_principals)
        claims = dict(request.jwt_claims)
        return answer(
            {"user": request.authenticated_userid, "claims": claims, "principals": principals}
        )

    def logout(self, request):
        return answer({"result": "ok"}, forget(request))


def start(policy, secret, user, password, **settings):
    config = Configurator()
    config.set_authorization_policy(ACLAuthorizationPolicy())
    config.include("pyramid_jwt")
    getattr(config, policy)(secret, callback=roles, **settings)
    views = Views(user, password, "cookie" in policy)
    for name in ("login", "me", "logout"):
        config.add_route(name, "/" + name)
        config.add_view(getattr(views, name), route_name=name)
    server = waitress.create_server(config.make_wsgi_app(), host="127.0.0.1", port=0, threads=4)
    threading.Thread(target=server.run, daemon=True).start()
    return "http://127.0.0.1:%s" % server.effective_port


def main(secret, user, password, expiration, reissue):
    header, cookie = "set_jwt_authentication_policy", "set_jwt_cookie_authentication_policy"
    common = {"expiration": int(expiration)}
    sliding = dict(common, reissue_time=int(reissue))
    urls = {
        "header": start(header, secret, user, password, **common),
        "bearer": start(header, secret, user, password, auth_type="Bearer", **common),
        "field": start(header, secret, user, password, http_header="X-Token", **common),
        "cookie": start(cookie, secret, user, password, **sliding),
    }
    print(json.dumps(urls), flush=True)
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
