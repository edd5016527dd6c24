"""The real client, macauthlib on requests, for the Go server to verify.

Usage: client.py HTTP_PORT HTTPS_PORT. Reads one request a line from standard input, as JSON, and
prints one answer a line. Whatever host a URL names, the connection goes to 127.0.0.1: to HTTPS_PORT
if the URL says https, else to HTTP_PORT. So the default ports can be tried without owning them.

Request: method, url; optional host, body, stream, ext, ts; and either id, key and hash, or user and
password.
Answer: status, headers, body and the Authorization header that was sent; or the error's name.
"""

import hashlib
import json
import socket
import sys
import warnings

import macauthlib
import requests


def redirect_connections(http_port, https_port):
    """Let every name and port lead to the two given ports of this machine."""
    lookup = socket.getaddrinfo

    def loopback(host, port, *args, **kwargs):
        secure = port in (443, https_port)
        return lookup("127.0.0.1", https_port if secure else http_port, *args, **kwargs)

    socket.getaddrinfo = loopback


def signer(job):
    """The hook in which requests lets a request be signed, once it is complete."""

    def sign(request):
        params = {name: job[name] for name in ("ext", "ts") if name in job}
        hashmod = getattr(hashlib, job["hash"])
        macauthlib.sign_request(request, job["id"], job["key"], hashmod, params)
        return request

    return sign


def perform(session, job):
    body = job.get("body", "").encode("utf8")
    answer = session.request(
        job["method"],
        job["url"],
        headers={"Host": job["host"]} if "host" in job else None,
        data=iter([body]) if job.get("stream") else body,
        auth=(job["user"], job["password"]) if "user" in job else signer(job),
        allow_redirects=False,
        timeout=30,
    )
    return {
        "status": answer.status_code,
        "headers": {name.lower(): value for name, value in answer.headers.items()},
        "body": answer.text,
        "authorization": answer.request.headers["Authorization"],
    }


def main(http_port, https_port):
    redirect_connections(int(http_port), int(https_port))
    warnings.simplefilter("ignore")  # of requests, about verify
    with requests.Session() as session:
        session.trust_env = False  # no proxies, no .netrc
        session.verify = False  # what is tried here is the MAC, not the certificate
        for line in sys.stdin:
            try:
                answer = perform(session, json.loads(line))
            except Exception as error:
                answer = {"error": type(error).__name__}
            print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
