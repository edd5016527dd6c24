module github.com/countersign-go/countersign

go 1.26.0
