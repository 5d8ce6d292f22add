//go:build tools

// Package tools names the program that is built: a main package cannot be imported otherwise.
package tools

import _ "github.com/cloudnative-pg/cloudnative-pg/cmd/manager"
