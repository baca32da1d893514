package report

import (
	"encoding/json"
	"fmt"
	"io"
)

// WriteJSON writes the document in its JSON form, indented.
func WriteJSON(w io.Writer, d *Document) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(d)
}

// ReadJSON reads what WriteJSON wrote. Fields that it does not know are an error: they would be lost.
func ReadJSON(r io.Reader) (*Document, error) {
	dec := json.NewDecoder(r)
	dec.DisallowUnknownFields()
	d := new(Document)
	if err := dec.Decode(d); err != nil {
		return nil, fmt.Errorf("not a report of wgconform: %w", err)
	}
	if d.Format != Format {
		return nil, fmt.Errorf("format %q, this program reads %q", d.Format, Format)
	}
	return d, nil
}
