package wls_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/countersign-go/countersign/portal"
	"github.com/countersign-go/countersign/raven"
	"github.com/countersign-go/countersign/raven/wls"
)

// A test sets the answer of the service: here, it declines.
func ExampleServer() {
	server := &wls.Server{Decide: func(*http.Request, *wls.Request) *raven.Response {
		return &raven.Response{Status: raven.StatusDeclined}
	}}
	service, err := server.Service("https://login.example.org")
	if err != nil {
		fmt.Println(err)
		return
	}
	query, err := (&raven.Request{URL: "https://app.example.org/"}).Query()
	if err != nil {
		fmt.Println(err)
		return
	}
	w := httptest.NewRecorder()
	server.ServeHTTP(w, httptest.NewRequest(http.MethodGet, service.LoginURL+"?"+query, nil))
	back, err := w.Result().Location()
	if err != nil {
		fmt.Println(err)
		return
	}
	answer, err := service.Parse(back.Query().Get("WLS-Response"))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(back.Host, answer.Status)
	// Output: app.example.org authentication_declined
}

// With a Checker, people log in on a page.
func ExampleServer_ServeHTTP() {
	mux := http.NewServeMux()
	mux.Handle("/auth/", &wls.Server{Checker: portal.Memory{"abc12": []byte("a password")}})

	query, err := (&raven.Request{URL: "https://app.example.org/", Desc: "An application"}).Query()
	if err != nil {
		fmt.Println(err)
		return
	}
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/auth/authenticate.html?"+query, nil))
	fmt.Println(w.Code, w.Header().Get("Content-Type"))
	// Output: 200 text/html; charset=utf-8
}

// A program detects that no user can log in before it serves.
func ExampleServer_Check() {
	fmt.Println(new(wls.Server).Check())
	fmt.Println((&wls.Server{Checker: portal.Memory{"abc12": []byte("a password")}}).Check())
	// Output:
	// wls: the Server has no Checker and no Decide, so no user can log in
	// <nil>
}

// A success that is not signed, to check that an agent refuses it.
func ExampleSign() {
	answer, err := wls.Sign(&raven.Response{
		Version: 3, Status: raven.StatusSuccess, Issue: time.Unix(1705311000, 0), ID: "1",
		URL: "https://app.example.org/", Principal: "abc12", Auth: raven.AuthPassword,
	}, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(answer)
	_, err = raven.Demo().Parse(answer)
	fmt.Println(err)
	// Output:
	// 3!200!!20240115T093000Z!1!https://app.example.org/!abc12!!pwd!!!!!
	// raven: success without a signature
}
