"""Twisted's FilePasswordDB, to judge the lines of files that ours judges too, and makers of hashes.

Reads one request a line from standard input, as JSON, and prints one answer a line.

To judge: file, options, hash (whether the file has MD5 of the passwords), user, password.
Answer: avatar, or the error's name.

To make a hash: make, which names a maker, and password.
Answer: stored.
"""

import hashlib
import json
import sys

import argon2
from passlib import hash as schemes
from twisted.cred.checkers import FilePasswordDB
from twisted.cred.credentials import UsernamePassword

MAKERS = {
    "argon2-cffi": argon2.PasswordHasher(time_cost=2, memory_cost=256, parallelism=2).hash,
    "passlib pbkdf2-sha256": schemes.pbkdf2_sha256.using(rounds=1000).hash,
    "passlib pbkdf2-sha512": schemes.pbkdf2_sha512.using(rounds=1000).hash,
    "passlib sha256-crypt": schemes.sha256_crypt.using(rounds=1000).hash,
    "passlib sha512-crypt": schemes.sha512_crypt.using(rounds=5000).hash,
}


def md5(user, given, stored):
    return hashlib.md5(given).hexdigest().encode("ascii")


def judge(job):
    options = dict(job["options"], hash=md5 if job.get("hash") else None)
    options["delim"] = options["delim"].encode("utf8")
    checker = FilePasswordDB(job["file"], **options)
    given = UsernamePassword(job["user"].encode("utf8"), job["password"].encode("utf8"))
    answer = []
    checker.requestAvatarId(given).addCallbacks(
        lambda avatar: answer.append({"avatar": avatar.decode("utf8")}),
        lambda failure: answer.append({"error": failure.type.__name__}),
    )
    return answer[0]


def main():
    for line in sys.stdin:
        job = json.loads(line)
        if "make" in job:
            answer = {"stored": MAKERS[job["make"]](job["password"])}
        else:
            try:
                answer = judge(job)
            except Exception as error:
                answer = {"error": type(error).__name__}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
