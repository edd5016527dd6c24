module github.com/countersign-go/countersign

go 1.26.0

require github.com/jarcoal/httpmock v1.4.2
