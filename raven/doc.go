// Package raven lets people log in by the web login service of a university: by the Cambridge
// WAA-WLS protocol, versions 1 to 3, which is also known as Ucam-WebAuth or, after the service,
// Raven.
//
// # The protocol
//
// The application is the agent (WAA), and the login service is the WLS. The two never talk to each
// other. Both of their messages travel through the browser, as a redirect with status 303:
//
//	agent    303  https://login.example.org/auth/authenticate.html?ver=3&url=...&params=...
//	service  303  https://app.example.org/page?WLS-Response=3!200!!20240115T093000Z!...
//
// A [Request] is the first message and its Query the text of it. [Service.Parse] reads the second,
// which the service signs, and [Response.Satisfies] says whether it keeps to what was asked for, as
// the user can write a request of his own.
//
// An answer that parses proves that the service wrote it. It does not prove that it was written for
// this site, this browser or this minute. Whoever uses the messages directly must compare URL with
// the address that was asked for, Issue with the clock, and Params with a secret of the session. He
// must also take each answer once only (section 4 of the protocol).
//
// # The answer
//
// It is 14 fields joined by exclamation marks, or 13 in versions 1 and 2, which have no ptags:
//
//	ver!status!msg!issue!id!url!principal!ptags!auth!sso!life!params!kid!sig
//
// It is read strictly. It is UTF-8 without control characters, and at most 8 KiB.
//
//   - In each field %25 stands for a percent sign and %21 for an exclamation mark. There is no
//     other escape.
//   - ver is 1, 2 or 3, and status one of those of type [Status].
//   - issue is YYYYMMDDThhmmssZ: fixed width, upper case, UTC.
//   - id and url are not empty.
//   - ptags and sso are lists with commas, without empty members.
//   - life is a number of seconds, 0|[1-9][0-9]{0,8}, or empty.
//   - kid is [1-9][0-9]{0,7}, and one of the Keys of the Service.
//   - sig is the signature of all before "!kid!sig", byte for byte, in base64 with - . _ in the
//     place of + / =, padded, without spare bits.
//
// A success has a principal, auth or sso or both, and a signature. Any other status has none of
// principal, ptags, auth, sso and life. It may be unsigned: then kid and sig are both empty.
//
// # The signature
//
// The protocol fixes RSASSA-PKCS1-v1_5 with SHA-1, and the operator's keys have 1024 bits. Both are
// weaker than anything that one would choose today. They are used here for these answers and for
// nothing else, and this package cannot sign. A program that allows only what FIPS 140 approves
// cannot verify them.
package raven
