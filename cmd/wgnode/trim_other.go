//go:build !linux

package main

// trim has nothing to do: see trim_linux.go.
func trim() {}
