package main

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

const world = `{
  "Namespaces": {"items": [
    {"metadata": {"name": "shop", "labels": {"kubernetes.io/metadata.name": "shop"}}},
    {"metadata": {"name": "web", "labels": {"kubernetes.io/metadata.name": "web"}}}
  ]},
  "Pods": {"items": [
    {"metadata": {"name": "a", "namespace": "shop", "labels": {"app": "a"}}, "status": {"podIP": "10.0.0.1", "phase": "Running"}},
    {"metadata": {"name": "b", "namespace": "web", "labels": {"app": "b"}}, "status": {"podIP": "10.0.0.2", "phase": "Running"},
     "spec": {"containers": [{"ports": [{"name": "dns", "protocol": "UDP", "containerPort": 1053}]}]}},
    {"metadata": {"name": "done", "namespace": "web"}, "status": {"podIP": "10.0.0.3", "phase": "Succeeded"}},
    {"metadata": {"name": "host", "namespace": "web"}, "spec": {"hostNetwork": true}, "status": {"podIP": "10.0.0.4", "phase": "Running"}}
  ]},
  "Policies": {"items": [{"metadata": {"name": "p", "namespace": "shop"}, "spec": SPEC}]}
}`

func chainOf(t *testing.T, spec, chain string) []string {
	t.Helper()
	var state State
	if err := json.Unmarshal([]byte(strings.Replace(world, "SPEC", spec, 1)), &state); err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, line := range strings.Split(rules(state), "\n") {
		if rest, is := strings.CutPrefix(line, "-A "+chain+" "); is {
			found = append(found, rest)
		}
	}
	return found
}

func TestWhatIsAllowedReturnsAndTheRestIsDropped(t *testing.T) {
	cases := []struct {
		spec, chain string
		expected    []string
	}{
		{`{"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}`, "PP-E-10-0-0-1", []string{"-j DROP"}},
		{`{"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}`, "PP-I-10-0-0-1", []string{"-j DROP"}},
		{`{"podSelector": {}}`, "PP-I-10-0-0-1", []string{"-j DROP"}},
		{`{"podSelector": {}}`, "PP-E-10-0-0-1", nil},
		{`{"podSelector": {"matchLabels": {"app": "other"}}}`, "PP-I-10-0-0-1", nil},
		{`{"podSelector": {}, "ingress": [{}]}`, "PP-I-10-0-0-1", []string{"-j RETURN", "-j DROP"}},
		{`{"podSelector": {}, "ingress": [{"from": [{"namespaceSelector": {}}]}]}`, "PP-I-10-0-0-1",
			[]string{"-s 10.0.0.1/32 -j RETURN", "-s 10.0.0.2/32 -j RETURN", "-j DROP"}},
		{`{"podSelector": {}, "ingress": [{"from": [{"podSelector": {}}], "ports": [{"port": 80}]}]}`, "PP-I-10-0-0-1",
			[]string{"-s 10.0.0.1/32 -p tcp --dport 80 -j RETURN", "-j DROP"}},
		{`{"podSelector": {}, "policyTypes": ["Egress"], "egress": [{"to": [{"namespaceSelector": {"matchExpressions":
			[{"key": "kubernetes.io/metadata.name", "operator": "In", "values": ["web"]}]}}],
			"ports": [{"protocol": "UDP", "port": "dns"}, {"protocol": "UDP", "port": 53, "endPort": 54}]}]}`, "PP-E-10-0-0-1",
			[]string{"-d 10.0.0.2/32 -p udp --dport 1053 -j RETURN", "-d 10.0.0.2/32 -p udp --dport 53:54 -j RETURN", "-j DROP"}},
		{`{"podSelector": {}, "policyTypes": ["Egress"], "egress": [{"to": [{"ipBlock": {"cidr": "10.0.0.0/30",
			"except": ["10.0.0.0/31"]}}]}]}`, "PP-E-10-0-0-1", []string{"-d 10.0.0.2/31 -j RETURN", "-j DROP"}},
	}
	for _, one := range cases {
		if found := chainOf(t, one.spec, one.chain); !slices.Equal(found, one.expected) {
			t.Errorf("%s of %s:\n  found    %q\n  expected %q", one.chain, one.spec, found, one.expected)
		}
	}
}

func TestPacketsPassEgressThenIngressAndOpenConnectionsStay(t *testing.T) {
	found := chainOf(t, `{"podSelector": {}}`, forwarded)
	expected := []string{
		"-m conntrack --ctstate ESTABLISHED,RELATED -j RETURN", "-j PP-NETPOL-EGRESS", "-j PP-NETPOL-INGRESS",
	}
	if !slices.Equal(found, expected) {
		t.Errorf("found %q", found)
	}
	if found := chainOf(t, `{"podSelector": {}}`, ingress); !slices.Equal(found, []string{"-d 10.0.0.1/32 -j PP-I-10-0-0-1"}) {
		t.Errorf("found %q", found)
	}
}
