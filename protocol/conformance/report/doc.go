// Package report turns the results of conformance runs into what people and machines read: a page, a summary on a
// terminal, JSON, JUnit XML, TAP, Markdown, a badge.
//
// Everything starts from a [Document]: one [Run] per target, with what the results mean beside them (the cases, the
// texts of the rules). Each writer is a function of the document alone: it reads no clock, no file and no environment,
// and writes the same bytes for the same document.
//
//	d := report.Document{Cases: report.Describe(conformance.Cases()), Runs: []report.Run{{Name: "core", Results: all}}}
//	d.Normalize()
//	err := report.WriteHTML(w, &d, report.HTMLOptions{})
//
// The JSON form is described in docs/CONFORMANCE-SUITE.md and, for machines, in docs/conformance.schema.json.
package report
