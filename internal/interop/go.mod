module github.com/countersign-go/countersign/internal/interop

go 1.26.0

require github.com/countersign-go/countersign v0.0.0

replace github.com/countersign-go/countersign => ../..
