//go:build tools

// Package tools names the program that is built: a main package cannot be imported otherwise.
package tools

import _ "github.com/OT-CONTAINER-KIT/redis-operator/cmd"
