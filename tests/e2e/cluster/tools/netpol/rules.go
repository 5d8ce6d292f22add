package main

import (
	"fmt"
	"slices"
	"sort"
	"strings"
)

// Our chains. Old chains of pods that are gone are emptied and stay, unused, until the node ends.
const (
	forwarded = "PP-NETPOL"
	toNode    = "PP-NETPOL-NODE"
	egress    = "PP-NETPOL-EGRESS"
	ingress   = "PP-NETPOL-INGRESS"
)

// rules is the input of iptables-restore. A packet between pods passes the sender's egress rules, then the receiver's
// ingress rules; each of these lets go on what it allows, and drops the rest.
func rules(state State) string {
	var out strings.Builder
	line := func(format string, values ...any) { fmt.Fprintf(&out, format+"\n", values...) }
	line("*filter")
	for _, chain := range []string{forwarded, toNode, egress, ingress} {
		line(":%s - [0:0]", chain)
		line("-F %s", chain)
	}
	line("-A %s -m conntrack --ctstate ESTABLISHED,RELATED -j RETURN", forwarded)
	line("-A %s -j %s", forwarded, egress)
	line("-A %s -j %s", forwarded, ingress)
	line("-A %s -m conntrack --ctstate ESTABLISHED,RELATED -j RETURN", toNode)
	line("-A %s -j %s", toNode, egress)

	pods := slices.DeleteFunc(slices.Clone(state.Pods.Items), func(pod Pod) bool { return !pod.isOnBridge() })
	sort.Slice(pods, func(one, other int) bool { return pods[one].Status.PodIP < pods[other].Status.PodIP })
	for _, pod := range pods {
		for _, direction := range []string{"Egress", "Ingress"} {
			allowed, isolated := state.allowed(pod, direction)
			if !isolated {
				continue
			}
			side, other, parent := "-s", "-d", egress
			if direction == "Ingress" {
				side, other, parent = "-d", "-s", ingress
			}
			chain := fmt.Sprintf("PP-%s-%s", direction[:1], strings.ReplaceAll(pod.Status.PodIP, ".", "-"))
			line(":%s - [0:0]", chain)
			line("-F %s", chain)
			for _, match := range allowed {
				line("%s", strings.Join(strings.Fields(fmt.Sprintf("-A %s %s -j RETURN", chain, strings.ReplaceAll(match, "OTHER", other))), " "))
			}
			line("-A %s -j DROP", chain)
			line("-A %s %s %s/32 -j %s", parent, side, pod.Status.PodIP, chain)
		}
	}
	line("COMMIT")
	return out.String()
}

// allowed gives the matches of what the pod may send or get, and whether any policy isolates it in this direction.
func (state State) allowed(pod Pod, direction string) (matches []string, isolated bool) {
	for _, policy := range state.Policies.Items {
		if policy.Metadata.Namespace != pod.Metadata.Namespace || !policy.Spec.PodSelector.matches(pod.Metadata.Labels) ||
			!policy.isFor(direction) {
			continue
		}
		isolated = true
		rules := policy.Spec.Ingress
		if direction == "Egress" {
			rules = policy.Spec.Egress
		}
		for _, rule := range rules {
			matches = append(matches, state.rule(policy.Metadata.Namespace, pod, direction, rule)...)
		}
	}
	slices.Sort(matches)
	return slices.Compact(matches), isolated
}

func (policy Policy) isFor(direction string) bool {
	if len(policy.Spec.PolicyTypes) == 0 {
		return direction == "Ingress" || len(policy.Spec.Egress) > 0
	}
	return slices.Contains(policy.Spec.PolicyTypes, direction)
}

// rule gives one match per peer and port. Without peers everybody is meant, without ports every port.
func (state State) rule(namespace string, pod Pod, direction string, rule Rule) []string {
	peers := rule.From
	if direction == "Egress" {
		peers = rule.To
	}
	var matches []string
	if len(peers) == 0 {
		for _, port := range ports(rule, pod) {
			matches = append(matches, strings.TrimSpace(port))
		}
		if direction == "Egress" && hasNames(rule) {
			for _, target := range state.Pods.Items {
				matches = append(matches, toPod(target, direction, rule, pod)...)
			}
		}
		return matches
	}
	for _, peer := range peers {
		if peer.IPBlock != nil {
			for _, port := range ports(rule, pod) {
				matches = append(matches, peer.IPBlock.matches(port)...)
			}
			continue
		}
		for _, other := range state.Pods.Items {
			if state.isPeer(namespace, peer, other) {
				matches = append(matches, toPod(other, direction, rule, pod)...)
			}
		}
	}
	return matches
}

func toPod(other Pod, direction string, rule Rule, pod Pod) []string {
	if !other.isOnBridge() {
		return nil
	}
	// Names of ports are those of the pod that is connected to.
	target := pod
	if direction == "Egress" {
		target = other
	}
	var matches []string
	for _, port := range ports(rule, target) {
		matches = append(matches, strings.TrimSpace(fmt.Sprintf("OTHER %s/32 %s", other.Status.PodIP, port)))
	}
	return matches
}

func (state State) isPeer(namespace string, peer Peer, pod Pod) bool {
	if peer.NamespaceSelector == nil {
		if pod.Metadata.Namespace != namespace {
			return false
		}
	} else if !peer.NamespaceSelector.matches(state.labelsOf(pod.Metadata.Namespace)) {
		return false
	}
	return peer.PodSelector == nil || peer.PodSelector.matches(pod.Metadata.Labels)
}

func (state State) labelsOf(name string) map[string]string {
	for _, namespace := range state.Namespaces.Items {
		if namespace.Metadata.Name == name {
			return namespace.Metadata.Labels
		}
	}
	return nil
}

// matches leaves out what the block excepts, by one match that is about addresses only.
func (block IPBlock) matches(port string) []string {
	if len(block.Except) == 0 {
		return []string{strings.TrimSpace(fmt.Sprintf("OTHER %s %s", block.CIDR, port))}
	}
	var found []string
	for _, part := range subtract(block.CIDR, block.Except) {
		found = append(found, strings.TrimSpace(fmt.Sprintf("OTHER %s %s", part, port)))
	}
	return found
}

func hasNames(rule Rule) bool {
	return slices.ContainsFunc(rule.Ports, func(port Port) bool { return port.Port != nil && port.Port.Name != "" })
}

// ports gives one match per port, "" for every port.
func ports(rule Rule, target Pod) []string {
	if len(rule.Ports) == 0 {
		return []string{""}
	}
	var matches []string
	for _, port := range rule.Ports {
		protocol := strings.ToLower(port.Protocol)
		if protocol == "" {
			protocol = "tcp"
		}
		switch {
		case port.Port == nil:
			matches = append(matches, "-p "+protocol)
		case port.Port.Name != "":
			for _, number := range target.ports(port.Port.Name, protocol) {
				matches = append(matches, fmt.Sprintf("-p %s --dport %d", protocol, number))
			}
		case port.EndPort > port.Port.Number:
			matches = append(matches, fmt.Sprintf("-p %s --dport %d:%d", protocol, port.Port.Number, port.EndPort))
		default:
			matches = append(matches, fmt.Sprintf("-p %s --dport %d", protocol, port.Port.Number))
		}
	}
	return matches
}
