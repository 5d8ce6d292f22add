// Command netpol enforces NetworkPolicies on the local test cluster's only node, with iptables.
//
// It watches pods, namespaces and NetworkPolicies through the API server. A change of any of them makes it list all three
// and replace its own chains in one step; nothing else of the packet rules is touched. Traffic that is not allowed is
// dropped in FORWARD and, on its way to the node itself, in INPUT. Connections that are open stay open, and so does what
// the node itself sends (kubelet's probes), as the API promises.
//
// Bounds, for a test cluster: one node, IPv4, policies in force about 100 ms after the API server knows the pod's address;
// a pod that is faster than that is not held back. Selectors, named ports, port ranges and ipBlock with except are
// understood; hostNetwork pods are not isolated.
package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"time"
)

const (
	// A burst of changes is one replacement.
	settle = 50 * time.Millisecond
	// Whatever was missed is found by then.
	resync = 30 * time.Second
	// A watch ends by itself after this, so that a dead connection is noticed.
	watchSeconds = 60
	pause        = time.Second
)

var paths = []string{"/api/v1/pods", "/api/v1/namespaces", "/apis/networking.k8s.io/v1/networkpolicies"}

func main() {
	if len(os.Args) != 5 {
		fmt.Fprintln(os.Stderr, "usage: netpol SERVER CA CERTIFICATE KEY")
		os.Exit(2)
	}
	server := os.Args[1]
	client, err := connect(os.Args[2], os.Args[3], os.Args[4])
	if err != nil {
		fmt.Fprintln(os.Stderr, "netpol:", err)
		os.Exit(1)
	}
	changed := make(chan struct{}, 1)
	for _, path := range paths {
		go watch(client, server+path, changed)
	}
	applied := ""
	for {
		state, err := list(client, server)
		if err == nil {
			// A failed replacement is tried again with the next change or resync.
			applied, err = enforce(rules(state), applied)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "netpol:", err)
			time.Sleep(pause)
			continue
		}
		select {
		case <-changed:
			time.Sleep(settle)
			select {
			case <-changed:
			default:
			}
		case <-time.After(resync):
			applied = ""
		}
	}
}

func connect(ca, certificate, key string) (*http.Client, error) {
	authority, err := os.ReadFile(ca)
	if err != nil {
		return nil, err
	}
	pair, err := tls.LoadX509KeyPair(certificate, key)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority)
	config := &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	return &http.Client{Transport: &http.Transport{TLSClientConfig: config}}, nil
}

// watch tells of every change. What it misses between two calls the next list finds, because each call begins with one.
func watch(client *http.Client, url string, changed chan<- struct{}) {
	for {
		if err := follow(client, url, changed); err != nil {
			fmt.Fprintln(os.Stderr, "netpol: watch:", err)
			time.Sleep(pause)
		}
	}
}

func follow(client *http.Client, url string, changed chan<- struct{}) error {
	context, cancel := context.WithTimeout(context.Background(), (watchSeconds+10)*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(context, "GET", fmt.Sprintf("%s?watch=true&timeoutSeconds=%d", url, watchSeconds), nil)
	if err != nil {
		return err
	}
	answer, err := client.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", url, answer.Status)
	}
	lines := bufio.NewScanner(answer.Body)
	lines.Buffer(nil, 8<<20)
	for lines.Scan() {
		select {
		case changed <- struct{}{}:
		default:
		}
	}
	return lines.Err()
}

func list(client *http.Client, server string) (State, error) {
	var state State
	for index, into := range []any{&state.Pods, &state.Namespaces, &state.Policies} {
		context, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		err := get(context, client, server+paths[index], into)
		cancel()
		if err != nil {
			return state, err
		}
	}
	return state, nil
}

func get(context context.Context, client *http.Client, url string, into any) error {
	request, err := http.NewRequestWithContext(context, "GET", url, nil)
	if err != nil {
		return err
	}
	answer, err := client.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", url, answer.Status)
	}
	return json.NewDecoder(answer.Body).Decode(into)
}

// enforce replaces the chains, and sees to it that they are asked first: kube-proxy puts its own in front when it starts.
func enforce(wanted, applied string) (string, error) {
	if wanted != applied {
		if err := run(wanted, "iptables-restore", "--wait", "--noflush"); err != nil {
			return "", err
		}
	}
	for _, jump := range [][2]string{{"FORWARD", forwarded}, {"INPUT", toNode}} {
		first, err := exec.Command("iptables", "--wait", "-S", jump[0], "1").Output()
		if err == nil && strings.HasSuffix(strings.TrimSpace(string(first)), "-j "+jump[1]) {
			continue
		}
		_ = exec.Command("iptables", "--wait", "-D", jump[0], "-j", jump[1]).Run()
		if err := run("", "iptables", "--wait", "-I", jump[0], "1", "-j", jump[1]); err != nil {
			return "", err
		}
	}
	return wanted, nil
}

func run(input string, command ...string) error {
	program := exec.Command(command[0], command[1:]...)
	program.Stdin = strings.NewReader(input)
	if output, err := program.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", command[0], err, output)
	}
	return nil
}
