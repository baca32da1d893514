package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/purewire/purewire/protocol/conformance/report"
)

// output is a report file that the user asked for.
type output struct {
	flag, path string
	write      func(io.Writer) error
}

// writeOutput writes a file in full or not at all: beside its place first, then into it. "-" is standard output.
func writeOutput(o output, stdout io.Writer) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("--%s: %w", o.flag, err)
		}
	}()
	if o.path == "-" {
		b := bufio.NewWriter(stdout)
		if err := o.write(b); err != nil {
			return err
		}
		return b.Flush()
	}
	if info, err := os.Stat(o.path); err == nil && !info.Mode().IsRegular() {
		return writeTo(o) // a pipe or a device: there is nothing to be replaced
	}
	f, err := os.CreateTemp(filepath.Dir(o.path), "."+filepath.Base(o.path)+"-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(f.Name()) // half a report is none
		}
	}()
	b := bufio.NewWriterSize(f, 1<<16)
	if err = o.write(b); err == nil {
		err = b.Flush()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Chmod(f.Name(), 0o644) // a report is to be shown around; CreateTemp is shyer
	}
	if err == nil {
		err = os.Rename(f.Name(), o.path)
	}
	return err
}

func writeTo(o output) error {
	f, err := os.OpenFile(o.path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	err = o.write(f)
	if e := f.Close(); err == nil {
		err = e
	}
	return err
}

// checkOutputs refuses what could not be written at the end of a long run: a folder that is not there, one file for
// two reports.
func checkOutputs(all []output) error {
	seen := map[string]string{}
	for _, o := range all {
		if first, twice := seen[o.path]; twice {
			return fmt.Errorf("--%s and --%s both name %s", first, o.flag, o.path)
		}
		seen[o.path] = o.flag
		if o.path == "-" {
			continue
		}
		if info, err := os.Stat(filepath.Dir(o.path)); err != nil {
			return fmt.Errorf("--%s: %w", o.flag, err)
		} else if !info.IsDir() {
			return fmt.Errorf("--%s %s: its folder is none", o.flag, o.path)
		}
		if info, err := os.Stat(o.path); err == nil && info.IsDir() {
			return fmt.Errorf("--%s %s: is a folder", o.flag, o.path)
		}
	}
	return nil
}

// reportFlags say which reports are written.
type reportFlags struct {
	json, junit, html, markdown, tap, badge, captures string
	strict                                            bool
}

// outputs are the reports that are asked for, of a document that is filled until they are written.
func (f *reportFlags) outputs(d *report.Document, h report.HTMLOptions) (all []output) {
	add := func(flag, path string, write func(io.Writer) error) {
		if path != "" {
			all = append(all, output{flag, path, write})
		}
	}
	add("json", f.json, func(w io.Writer) error { return report.WriteJSON(w, d) })
	add("junit", f.junit, func(w io.Writer) error { return report.WriteJUnit(w, d, f.strict) })
	add("html", f.html, func(w io.Writer) error { return report.WriteHTML(w, d, h) })
	add("markdown", f.markdown, func(w io.Writer) error { return report.WriteMarkdown(w, d) })
	add("tap", f.tap, func(w io.Writer) error { return report.WriteTAP(w, d, f.strict) })
	add("badge", f.badge, func(w io.Writer) error { return report.WriteBadge(w, &d.Runs[0]) })
	return all
}
