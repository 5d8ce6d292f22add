// Command kube holds every Kubernetes program the local cluster runs, and kubectl, in one binary.
//
// The first argument names the component; the rest goes to it unchanged. Called under the name of a component (through
// a symlink, as kubectl is), it acts as that component.
//
// One binary instead of six links the shared nine tenths of the code once, which saves build time and disk.
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	kubectl "k8s.io/kubectl/pkg/cmd"
	kubectlutil "k8s.io/kubectl/pkg/cmd/util"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	proxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"
)

// components maps a name to the function that runs the component and returns its exit code.
var components = map[string]func() int{
	"kube-apiserver":          command(apiserver.NewAPIServerCommand),
	"kube-controller-manager": command(controllermanager.NewControllerManagerCommand),
	"kube-scheduler":          command(func() *cobra.Command { return scheduler.NewSchedulerCommand() }),
	"kubelet":                 command(func() *cobra.Command { return kubelet.NewKubeletCommand(context.Background()) }),
	"kube-proxy":              command(proxy.NewProxyCommand),
	"kubectl":                 runKubectl,
}

func main() {
	name, rest := filepath.Base(os.Args[0]), os.Args[1:]
	if components[name] == nil && len(rest) > 0 {
		name, rest = rest[0], rest[1:]
	}
	run := components[name]
	if run == nil {
		names := make([]string, 0, len(components))
		for n := range components {
			names = append(names, n)
		}
		sort.Strings(names)
		fmt.Fprintln(os.Stderr, "usage: kube COMPONENT [ARGUMENT...]; components: "+strings.Join(names, ", "))
		os.Exit(2)
	}
	// Each component parses os.Args itself.
	os.Args = append([]string{name}, rest...)
	os.Exit(run())
}

func command(build func() *cobra.Command) func() int {
	return func() int { return cli.Run(build()) }
}

func runKubectl() int {
	if err := cli.RunNoErrOutput(kubectl.NewDefaultKubectlCommand()); err != nil {
		// CheckErr prints the message the way kubectl does and exits with the matching code.
		kubectlutil.CheckErr(err)
	}
	return 0
}
