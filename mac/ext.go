package mac

import "maps"

// extClaim is the name of an Ext in [auth.Identity.Claims].
const extClaim = "mac.ext"

// An Ext is the ext of a request whose MAC was right, as the client signed it. With BodyDigest it
// ends in the digest. [Verifier.Authenticate] puts it into the Claims of the identity:
//
//	ext, ok := id.Claims["mac.ext"].(mac.Ext)
//
// No claim of a token has this type, whatever its name is, so a handler behind several schemes
// cannot mistake one for it.
type Ext string

// withExt returns claims with ext, if there is one. The claims of a Key are shared by its requests,
// so it adds to a copy.
func withExt(claims map[string]any, ext string) map[string]any {
	if ext == "" {
		return claims
	}
	all := make(map[string]any, len(claims)+1)
	maps.Copy(all, claims)
	all[extClaim] = Ext(ext)
	return all
}
