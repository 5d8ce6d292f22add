// Command forward listens on the first address it is given and passes every TCP connection on to the second.
//
// The node lives in a network namespace of its own, so nothing in it listens on the loopback address of the host. This
// carries the API server's port there without a rule in the host's packet filter.
package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"time"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: forward LISTEN TARGET")
		os.Exit(2)
	}
	listener, err := net.Listen("tcp", os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, "forward:", err)
		os.Exit(1)
	}
	for {
		client, err := listener.Accept()
		if err != nil {
			// Out of file descriptors, for example: the next attempt may succeed once a connection ends.
			fmt.Fprintln(os.Stderr, "forward:", err)
			time.Sleep(100 * time.Millisecond)
			continue
		}
		go pass(client.(*net.TCPConn), os.Args[2])
	}
}

func pass(client *net.TCPConn, target string) {
	defer client.Close()
	connection, err := net.DialTimeout("tcp", target, 5*time.Second)
	if err != nil {
		return
	}
	server := connection.(*net.TCPConn)
	defer server.Close()
	done := make(chan struct{}, 2)
	oneWay := func(to, from *net.TCPConn) {
		_, _ = io.Copy(to, from)
		// Only the write side closes here: the other direction may still have data in flight.
		_ = to.CloseWrite()
		done <- struct{}{}
	}
	go oneWay(server, client)
	go oneWay(client, server)
	<-done
	<-done
}
