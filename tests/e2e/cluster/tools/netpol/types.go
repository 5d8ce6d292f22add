package main

import (
	"encoding/json"
	"net/netip"
	"slices"
	"strings"
)

// State is what the rules follow from, as far as they do.
type State struct {
	Pods       List[Pod]
	Namespaces List[Namespace]
	Policies   List[Policy]
}

type List[T any] struct{ Items []T }

type Metadata struct {
	Name, Namespace string
	Labels          map[string]string
}

type Namespace struct{ Metadata Metadata }

type Pod struct {
	Metadata Metadata
	Spec     struct {
		HostNetwork bool
		Containers  []struct {
			Ports []struct {
				Name, Protocol string
				ContainerPort  int
			}
		}
	}
	Status struct{ PodIP, Phase string }
}

// isOnBridge: a pod with an address of its own that nobody else has yet.
func (pod Pod) isOnBridge() bool {
	return !pod.Spec.HostNetwork && pod.Status.PodIP != "" && pod.Status.Phase != "Succeeded" && pod.Status.Phase != "Failed"
}

func (pod Pod) ports(name, protocol string) []int {
	var numbers []int
	for _, container := range pod.Spec.Containers {
		for _, port := range container.Ports {
			of := port.Protocol
			if of == "" {
				of = "TCP"
			}
			if port.Name == name && strings.EqualFold(of, protocol) {
				numbers = append(numbers, port.ContainerPort)
			}
		}
	}
	return numbers
}

type Policy struct {
	Metadata Metadata
	Spec     struct {
		PodSelector     Selector
		PolicyTypes     []string
		Ingress, Egress []Rule
	}
}

type Rule struct {
	From, To []Peer
	Ports    []Port
}

type Peer struct {
	PodSelector, NamespaceSelector *Selector
	IPBlock                        *IPBlock
}

type IPBlock struct {
	CIDR   string
	Except []string
}

type Port struct {
	Protocol string
	Port     *NumberOrName
	EndPort  int
}

// NumberOrName of a port.
type NumberOrName struct {
	Number int
	Name   string
}

func (port *NumberOrName) UnmarshalJSON(text []byte) error {
	if text[0] == '"' {
		return json.Unmarshal(text, &port.Name)
	}
	return json.Unmarshal(text, &port.Number)
}

// Selector of labels. An empty one selects everything.
type Selector struct {
	MatchLabels      map[string]string
	MatchExpressions []struct {
		Key, Operator string
		Values        []string
	}
}

func (selector Selector) matches(labels map[string]string) bool {
	for key, value := range selector.MatchLabels {
		if found, has := labels[key]; !has || found != value {
			return false
		}
	}
	for _, wanted := range selector.MatchExpressions {
		value, has := labels[wanted.Key]
		isListed := has && slices.Contains(wanted.Values, value)
		holds := map[string]bool{"In": isListed, "NotIn": !isListed, "Exists": has, "DoesNotExist": !has}[wanted.Operator]
		if !holds {
			return false
		}
	}
	return true
}

// subtract gives the parts of a range that lie in none of the others.
func subtract(cidr string, except []string) []string {
	whole, err := netip.ParsePrefix(cidr)
	if err != nil {
		return nil
	}
	for _, text := range except {
		hole, err := netip.ParsePrefix(text)
		if err != nil || !whole.Overlaps(hole) {
			continue
		}
		if hole.Bits() <= whole.Bits() {
			return nil
		}
		low, high := halves(whole)
		return append(subtract(low, except), subtract(high, except)...)
	}
	return []string{whole.Masked().String()}
}

func halves(whole netip.Prefix) (string, string) {
	bytes := whole.Masked().Addr().As4()
	low := netip.PrefixFrom(netip.AddrFrom4(bytes), whole.Bits()+1)
	bytes[whole.Bits()/8] |= 1 << (7 - whole.Bits()%8)
	return low.String(), netip.PrefixFrom(netip.AddrFrom4(bytes), whole.Bits()+1).String()
}
