//go:build !unix

package main

import "errors"

const canDetach = false

// detach is not used where there are no daemons.
func (p *program) detach(environment, *handover) error { return errors.ErrUnsupported }
