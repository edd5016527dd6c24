// Package authtest is for the tests of programs that use a signed service.
//
// A [Service] is a signed service without a network. It verifies and provisions as the real one
// does, and misbehaves on demand:
//
//	service := authtest.NewService(t)
//	client := countersign.NewClient(countersign.Config{
//		Signer: &mac.Signer{Source: service.Provisioner()}, Base: service,
//	})
//	service.Set(authtest.Faults{ExpireAfter: 3, Offset: time.Hour})
//
// [Responder] puts a verifier in front of a mock. [Dump] shows a request as a golden file can have
// it, and a [Recorder] keeps answers for later. A timestamp, a nonce and a MAC differ in each
// request: Dump writes fixed words in their places, and a Recorder does not compare them. So no
// signer needs a clock or a nonce that a test sets.
//
// Package schemetest below this one is for authors of schemes.
package authtest
