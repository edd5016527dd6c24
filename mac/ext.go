package mac

import "maps"

// extClaim is the name of an Ext in [auth.Identity.Claims].
const extClaim = "mac.ext"

// An Ext is the ext of a request whose MAC is correct, as the client signed it. With BodyDigest, it
// ends in the digest. [Verifier.Authenticate] puts it into the Claims of the identity:
//
//	ext, ok := id.Claims["mac.ext"].(mac.Ext)
//
// No claim of a token has this type, whatever its name. A handler behind several schemes therefore
// cannot mistake such a claim for an Ext.
type Ext string

// withExt returns claims with ext added, unless ext is empty. All requests of a Key share its
// claims, so withExt adds to a copy.
func withExt(claims map[string]any, ext string) map[string]any {
	if ext == "" {
		return claims
	}
	all := make(map[string]any, len(claims)+1)
	maps.Copy(all, claims)
	all[extClaim] = Ext(ext)
	return all
}
