// Faults runs a command with a wiki behind a proxy that answers badly now and then.
//
//	faults http://127.0.0.1:8080/api.php COMMAND…
//
// The command gets MEDIAWIKI_API, the address of api.php at the proxy. Afterwards the faults
// are printed.
package main

import (
	"fmt"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"

	"barka/internal/mediawiki/badwiki"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "faults:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) < 2 {
		return fmt.Errorf("expected the address of api.php and a command")
	}
	api, err := url.Parse(args[0])
	if err != nil {
		return err
	}
	proxy := badwiki.New(&url.URL{Scheme: api.Scheme, Host: api.Host}, 0.7, 1)
	s := httptest.NewServer(proxy)
	defer s.Close()
	c := exec.Command(args[1], args[2:]...)
	c.Env = append(os.Environ(), "MEDIAWIKI_API="+s.URL+api.Path)
	c.Stdout, c.Stderr = os.Stdout, os.Stderr
	err = c.Run()
	fmt.Fprintln(os.Stderr, "faults:", proxy.Counts())
	return err
}
