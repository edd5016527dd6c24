"""The real PyJWT, to make tokens for the Go verifier and to judge those of the Go signer.

Reads one job a line from standard input, as JSON, and prints one answer a line.

Job: either claims, key, alg and optional headers, for a token; or token, key, alg and optional
audience, issuer and leeway, for a verdict. A key is a secret or PEM.
Answer: token; or claims and header; or the error's name.
"""

import json
import sys

import jwt


def perform(job):
    if "claims" in job:
        token = jwt.encode(job["claims"], job["key"], job["alg"], headers=job.get("headers"))
        return {"token": token}
    options = {name: job[name] for name in ("audience", "issuer", "leeway") if name in job}
    claims = jwt.decode(job["token"], job["key"], algorithms=[job["alg"]], **options)
    return {"claims": claims, "header": jwt.get_unverified_header(job["token"])}


def main():
    for line in sys.stdin:
        try:
            answer = perform(json.loads(line))
        except Exception as error:
            answer = {"error": type(error).__name__}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
