package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
)

// file is an output file that exists in full or not at all.
type file struct {
	*bufio.Writer
	f    *os.File // nil for standard output
	what string
}

// create opens an output file; what names it in errors. "-" is standard output.
func create(path, what string, stdout io.Writer) (*file, error) {
	if path == "-" {
		return &file{Writer: bufio.NewWriter(stdout), what: what}, nil
	}
	f, err := os.Create(path)
	if err != nil {
		return nil, fmt.Errorf("cannot write the %s: %w", what, err)
	}
	return &file{Writer: bufio.NewWriterSize(f, 1<<16), f: f, what: what}, nil
}

// finish completes the file. If err is set, or writing failed, the file is removed, and the error comes back with
// its name.
func (o *file) finish(err error) error {
	if err == nil {
		err = o.Flush()
	}
	if o.f == nil {
		return o.failure(err)
	}
	if e := o.f.Close(); err == nil {
		err = e
	}
	if err != nil {
		o.remove()
	}
	return o.failure(err)
}

func (o *file) failure(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("cannot write the %s: %w", o.what, err)
}

// discard closes and removes the file of a run that came to nothing.
func (o *file) discard() {
	if o.f != nil {
		o.f.Close() // it goes away; what it says does not matter
		o.remove()
	}
}

// remove leaves devices and pipes alone.
func (o *file) remove() {
	if info, err := os.Lstat(o.f.Name()); err == nil && info.Mode().IsRegular() {
		os.Remove(o.f.Name()) // nothing more can be done about it
	}
}
