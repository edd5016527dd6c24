module github.com/countersign-go/countersign/internal/interop

go 1.26.0

require (
	github.com/countersign-go/countersign v0.0.0
	golang.org/x/oauth2 v0.38.0
)

require (
	github.com/alexedwards/scs/v2 v2.9.0 // indirect
	github.com/go-crypt/x v0.4.17 // indirect
	github.com/go-jose/go-jose/v4 v4.1.9 // indirect
	github.com/golang-jwt/jwt/v5 v5.3.1 // indirect
	github.com/hashicorp/go-cleanhttp v0.5.2 // indirect
	github.com/hashicorp/go-retryablehttp v0.7.8 // indirect
	golang.org/x/crypto v0.59.0 // indirect
	golang.org/x/sys v0.50.0 // indirect
)

replace github.com/countersign-go/countersign => ../..
