module github.com/countersign-go/countersign/internal/interop

go 1.26.0

require github.com/countersign-go/countersign v0.0.0

require (
	github.com/gofrs/flock v0.13.1 // indirect
	golang.org/x/sys v0.47.0 // indirect
)

replace github.com/countersign-go/countersign => ../..
